// Lines over time, stacked by level. Drag to zoom; the arrows and Enter do the same from the keyboard.

import { el, svgTitle } from "./dom.js";
import { LEVELS, clock, compact } from "./format.js";

const WIDTH = 1000;
const HEIGHT = 58;

export class Histogram {
  // `onZoom(start, end)` gets ISO times.
  constructor(container, onZoom) {
    this.container = container;
    this.onZoom = onZoom;
    this.buckets = [];
  }

  // Buckets are {start, end (ms), counts: {level: lines}}.
  show(buckets) {
    this.buckets = buckets;
    const total = buckets.reduce((sum, one) => sum + count(one), 0);
    const svg = el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: "0", "aria-label": `${total} lines over time by level; drag to zoom` });
    const highest = Math.max(1, ...buckets.map(count));
    buckets.forEach((bucket, index) => svg.append(...this.bars(bucket, index, highest)));
    this.brush = el("rect", { class: "brush", y: 0, height: HEIGHT, x: 0, width: 0 });
    svg.append(this.brush);
    this.listen(svg);
    const ends = buckets.length ? [clock(buckets[0].start, true), clock(buckets.at(-1).end, true)] : ["", ""];
    this.container.replaceChildren(svg, el("div", { class: "axis" }, el("span", {}, ends[0]), el("span", {}, `${compact(total)} lines`), el("span", {}, ends[1])));
  }

  bars(bucket, index, highest) {
    const width = WIDTH / this.buckets.length;
    let y = HEIGHT;
    return LEVELS.filter((level) => bucket.counts[level]).map((level) => {
      const height = Math.max(1, (bucket.counts[level] / highest) * (HEIGHT - 2));
      y -= height;
      const bar = el("rect", { x: index * width + 0.5, y, width: Math.max(0.5, width - 1), height, fill: `var(--${level})` });
      bar.append(svgTitle(`${clock(bucket.start, true)}: ${bucket.counts[level]} ${level}`));
      return bar;
    });
  }

  listen(svg) {
    let from = null;
    const at = (event) => {
      const box = svg.getBoundingClientRect();
      return Math.min(WIDTH, Math.max(0, ((event.clientX - box.left) / box.width) * WIDTH));
    };
    svg.addEventListener("pointerdown", (event) => { from = at(event); svg.setPointerCapture(event.pointerId); });
    svg.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = at(event);
      this.brush.setAttribute("x", Math.min(from, to));
      this.brush.setAttribute("width", Math.abs(to - from));
    });
    svg.addEventListener("pointerup", (event) => {
      const [low, high] = [from, at(event)].sort((a, b) => a - b);
      from = null;
      this.brush.setAttribute("width", 0);
      if (high - low > 4) this.zoom(low / WIDTH, high / WIDTH);
    });
  }

  zoom(from, to) {
    if (!this.buckets.length) return;
    const start = this.buckets[0].start;
    const span = this.buckets.at(-1).end - start;
    this.onZoom(new Date(start + from * span).toISOString(), new Date(start + to * span).toISOString());
  }
}

function count(bucket) {
  return Object.values(bucket.counts).reduce((sum, number) => sum + number, 0);
}
