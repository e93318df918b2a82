// Small charts from [time in ms, value] points. A value of null is unknown: the line breaks there and is never zero.

import { control } from "./axis.js";
import { el } from "./dom.js";

const SPARK = [72, 18];
const STRIP = [1000, 40];
const GAPS_MAX = 2.5; // times the usual distance of two points: more is a gap

// `least` is the least top of the picture, so that hardly any errors do not look like many.
export function spark(points, label, { least = 0 } = {}) {
  const known = drawn(points);
  if (known.length < 2) return null;
  const [width, height] = SPARK;
  const line = path(points, [points[0][0], points.at(-1)[0]], Math.max(least, top(known)), SPARK);
  return el("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, el("path", { d: line }));
}

// One figure over the page's time axis: a title with the value under the cursor (else the last one) and the line.
// `series` are {points, label}, the first one the figure itself and the others faint beside it.
export class Strip {
  constructor(axis, title, show) {
    Object.assign(this, { axis, title, show, series: [] });
    this.value = el("strong");
    this.highest = el("span", { class: "highest" });
    this.drawing = el("div", { class: "drawing" });
    this.plot = el("div", { class: "plot" }, this.drawing);
    this.element = el("section", { class: "panel", "data-figure": title }, el("h2", {}, el("span", {}, title), this.value, this.highest), this.plot);
    control(this.plot, axis);
    axis.addEventListener("range", () => this.draw());
    axis.addEventListener("cursor", () => this.tell());
  }

  set(series) {
    this.series = series;
    this.draw();
    this.tell();
  }

  draw() {
    const { start, end } = this.axis;
    const shown = this.series.map(({ points }) => within(points, start, end));
    const known = shown.flatMap(drawn);
    this.highest.textContent = known.length ? `max ${this.show(most(known))}` : "";
    if (!known.length) {
      this.drawing.replaceChildren(el("span", { class: "muted" }, this.series.some(({ points }) => drawn(points).length) ? "nothing known of this range" : "no samples yet"));
      return;
    }
    const highest = top(known);
    const svg = el("svg", { viewBox: `0 0 ${STRIP.join(" ")}`, preserveAspectRatio: "none", role: "img", "aria-label": `${this.title}: last ${this.last()}, highest ${this.show(most(known))}` });
    shown.forEach((points, index) => svg.append(el("path", { class: index ? "beside" : null, d: path(points, [start, end], highest, STRIP) })));
    this.drawing.replaceChildren(svg);
  }

  last() { return this.show(drawn(this.series[0]?.points).at(-1)?.[1]); }

  tell() {
    const { cursor } = this.axis;
    const points = drawn(this.series[0]?.points);
    const near = cursor === null ? points.at(-1) : nearest(points, cursor, usualDistance(points));
    this.value.textContent = this.show(near?.[1]);
  }
}

function drawn(points) { return (points || []).filter(([, value]) => value !== null && value !== undefined); }

function most(known) { return Math.max(...known.map(([, value]) => value)); }

function top(known) { return Math.max(1e-9, most(known)); } // a picture of zeros has a height too

// The points of a range, and one beyond each end so that the line leaves the picture.
function within(points, start, end) {
  const list = points || [];
  const first = list.findIndex(([time]) => time >= start);
  if (first < 0) return [];
  const after = list.findIndex(([time]) => time > end);
  return list.slice(Math.max(0, first - 1), after < 0 ? undefined : after + 1);
}

function usualDistance(points) {
  const distances = points.slice(1).map(([time], index) => time - points[index][0]).sort((a, b) => a - b);
  return distances[distances.length >> 1] ?? 0;
}

function nearest(points, time, distance) {
  let best = null;
  for (const point of points) if (!best || Math.abs(point[0] - time) < Math.abs(best[0] - time)) best = point;
  return best && Math.abs(best[0] - time) <= distance * GAPS_MAX ? best : undefined;
}

// A path that breaks where a value is unknown or too long away; a point alone is drawn as a dot.
function path(points, [from, to], highest, [width, height]) {
  const gap = usualDistance(points || []) * GAPS_MAX;
  const x = (time) => (((time - from) / Math.max(1, to - from)) * width).toFixed(1);
  const y = (value) => (height - 1 - (value / highest) * (height - 3)).toFixed(1);
  let before = null;
  let line = "";
  for (const [time, value] of points || []) {
    if (value === null || value === undefined) { before = null; continue; }
    const joined = before !== null && (!gap || time - before <= gap);
    line += joined ? `L${x(time)} ${y(value)}` : `M${x(time)} ${y(value)}h0.1`;
    before = time;
  }
  return line;
}
