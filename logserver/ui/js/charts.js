// Small charts from [time in ms, value] points: a spark for a table, a panel with a last value and marks.

import { el, svgTitle } from "./dom.js";
import { clock } from "./format.js";

function path(points, width, height, [from, to], highest) {
  const x = (time) => ((time - from) / Math.max(1, to - from)) * width;
  const y = (value) => height - 1 - (value / highest) * (height - 3);
  return points.map(([time, value], index) => `${index ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}

function drawn(points) { return (points || []).filter(([, value]) => value !== null && value !== undefined); }

export function spark(points, label) {
  const known = drawn(points);
  if (known.length < 2) return el("span", { class: "muted" }, "–");
  const highest = Math.max(1e-9, ...known.map(([, value]) => value));
  const line = path(known, 110, 26, [known[0][0], known.at(-1)[0]], highest);
  return el("svg", { class: "spark", viewBox: "0 0 110 26", role: "img", "aria-label": label },
    el("path", { class: "area", d: `${line}L110 26L0 26Z` }), el("path", { d: line }));
}

// `marks` are {time, text}: rollouts and restarts on the same axis.
export function panel(title, points, show, { range, marks = [] } = {}) {
  const known = drawn(points);
  const last = known.length ? show(known.at(-1)[1]) : "–";
  const head = el("h2", {}, el("span", {}, title), el("strong", {}, last));
  if (known.length < 2) return el("section", { class: "panel" }, head, el("p", { class: "muted" }, "no samples yet"));
  const span = range || [known[0][0], known.at(-1)[0]];
  const highest = Math.max(1e-9, ...known.map(([, value]) => value));
  const line = path(known, 300, 84, span, highest);
  const chart = el("svg", { class: "spark", viewBox: "0 0 300 84", preserveAspectRatio: "none", role: "img", "aria-label": `${title}, now ${last}, highest ${show(highest)}` }, el("path", { d: line }));
  for (const mark of marks) {
    const x = ((mark.time - span[0]) / Math.max(1, span[1] - span[0])) * 300;
    if (x < 0 || x > 300) continue;
    const rule = el("line", { class: "mark", x1: x, x2: x, y1: 0, y2: 84 });
    rule.append(svgTitle(`${clock(mark.time, true)} ${mark.text}`));
    chart.append(rule);
  }
  return el("section", { class: "panel" }, head, chart);
}
