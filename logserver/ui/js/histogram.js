// Lines over time, stacked by level, on the page's time axis, which it also sets.

import { control } from "./axis.js";
import { el, svgTitle } from "./dom.js";
import { LEVELS, clock, compact, span } from "./format.js";

const WIDTH = 1000;
const HEIGHT = 58;
const EXACT_MS = 30_000;
const KEYS = "arrows move, Shift with arrows selects, Enter zooms, plus and minus scale, 0 goes back";

export class Histogram {
  constructor(container, axis) {
    this.axis = axis;
    this.buckets = [];
    this.bars = el("div", { class: "bars" });
    this.plot = el("div", { class: "plot", tabindex: "0", role: "group", "aria-label": "Lines over time" }, this.bars);
    this.from = el("span");
    this.to = el("span");
    this.told = el("output", { "aria-live": "polite" });
    this.reset = el("button", { type: "button", class: "reset", hidden: true, title: "The range before the zoom (0)", onclick: () => axis.onReset() }, "Reset zoom");
    container.replaceChildren(this.plot, el("div", { class: "axis" }, this.from, el("span", {}, this.told, " ", this.reset), this.to));
    control(this.plot, axis, { keys: true });
    axis.addEventListener("cursor", () => this.tell());
  }

  // Buckets are {start, end (ms), counts: {level: lines}}.
  show(buckets, { zoomed = false } = {}) {
    this.buckets = buckets;
    this.total = buckets.reduce((sum, one) => sum + count(one), 0);
    this.highest = Math.max(1, ...buckets.map(count));
    const svg = el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${this.total} lines over time by level` });
    buckets.forEach((bucket, index) => svg.append(...this.stack(bucket, index)));
    this.bars.replaceChildren(svg);
    this.plot.setAttribute("aria-label", `Lines over time: ${KEYS}`);
    this.reset.hidden = !zoomed;
    if (!buckets.length) { this.tell(); return; }
    const [start, end] = [buckets[0].start, buckets.at(-1).end];
    const shown = end - start < EXACT_MS ? 23 : 19; // with milliseconds or without
    this.from.textContent = clock(start, true).slice(0, shown);
    this.to.textContent = clock(end, true).slice(0, shown);
    this.axis.setRange(start, end);
  }

  fail(message) {
    Object.assign(this, { buckets: [], total: 0 });
    this.bars.replaceChildren(el("span", { class: "muted" }, message));
  }

  stack(bucket, index) {
    const width = WIDTH / this.buckets.length;
    let y = HEIGHT;
    return LEVELS.filter((level) => bucket.counts[level]).map((level) => {
      const height = Math.max(1, (bucket.counts[level] / this.highest) * (HEIGHT - 2));
      y -= height;
      const bar = el("rect", { x: index * width + 0.5, y, width: Math.max(0.5, width - 1), height, fill: `var(--${level})` });
      bar.append(svgTitle(`${clock(bucket.start, true)}: ${bucket.counts[level]} ${level}`));
      return bar;
    });
  }

  // Say what is under the cursor, or how many lines there are in all.
  tell() {
    const { cursor, selection } = this.axis;
    if (selection) {
      this.told.textContent = `${clock(selection[0])} to ${clock(selection[1])}: Enter zooms`;
      return;
    }
    const bucket = cursor === null ? null : this.buckets.find((one) => cursor >= one.start && cursor < one.end);
    const counts = bucket && LEVELS.filter((level) => bucket.counts[level]).map((level) => `${bucket.counts[level]} ${level}`);
    this.told.textContent = bucket ? `${clock(bucket.start)}: ${counts.join(", ") || "no lines"}` : this.summary();
  }

  // The height of a bar means nothing without a scale.
  summary() {
    const [first] = this.buckets;
    const scale = this.total ? `, up to ${compact(this.highest)} in ${span(first.end - first.start)}` : "";
    return `${compact(this.total ?? 0)} lines${scale}`;
  }
}

function count(bucket) {
  return Object.values(bucket.counts).reduce((sum, number) => sum + number, 0);
}
