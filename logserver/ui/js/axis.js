// One time axis for everything that is drawn over time: its range, a cursor, and a selection that zooms.
//
// Charts listen ("range", "cursor") and draw. A control is an element whose inner width is the whole axis: the pointer
// moves the cursor over it and selects by dragging. Times are ms, so a drag stays where it is while live charts move.
// One control of a page takes the keys as well, as a slider does:
//   arrows move the cursor, with Shift they select; Home, End; Enter zooms to the selection; + - nearer, further;
//   0 or Backspace goes back to the whole range; Escape drops selection and cursor.

import { el } from "./dom.js";

const STEPS = 120; // of one arrow key, the bars of a histogram
const SPAN_MS_MIN = 100;
const DRAG_PX_MIN = 5;

export class Axis extends EventTarget {
  // `onZoom(start, end)` in ms, `onReset()` back to the range before any zoom.
  constructor({ onZoom, onReset }) {
    super();
    Object.assign(this, { onZoom, onReset, start: 0, end: 0, cursor: null, anchor: null });
  }

  get span() { return Math.max(1, this.end - this.start); }
  get selection() { return this.anchor === null || this.cursor === null ? null : [this.anchor, this.cursor].sort((a, b) => a - b); }

  ratio(time) { return (time - this.start) / this.span; }
  at(ratio) { return this.start + Math.min(1, Math.max(0, ratio)) * this.span; }

  setRange(start, end) {
    this.start = start;
    this.end = end;
    this.dispatchEvent(new Event("range"));
    this.dispatchEvent(new Event("cursor"));
  }

  // The range that was asked for ([start, end] in ms, null: not known): a key that follows at once means this one, not the
  // one that is still drawn.
  ask(range) {
    if (range) [this.start, this.end] = range;
  }

  // Move the cursor to a time (null: away); `selecting` keeps or sets the other end of the selection.
  point(time, { selecting = false } = {}) {
    if (!selecting || time === null) this.anchor = null;
    else this.anchor ??= this.cursor ?? time;
    this.cursor = time;
    this.dispatchEvent(new Event("cursor"));
  }

  zoom(start, end) {
    const middle = (start + end) / 2, half = Math.max(SPAN_MS_MIN, end - start) / 2;
    this.point(null);
    this.onZoom(middle - half, middle + half);
  }

  // Half or twice as near around the cursor.
  scale(factor) {
    const middle = this.cursor ?? (this.start + this.end) / 2;
    const end = Math.min(Date.now(), middle + (this.span * factor) / 2);
    this.zoom(Math.min(end - SPAN_MS_MIN, middle - (this.span * factor) / 2), end);
  }

  // Returns whether the key was used.
  key(event) {
    const step = this.span / STEPS;
    const from = this.cursor ?? this.end;
    const moves = { ArrowLeft: Math.max(this.start, from - step), ArrowRight: Math.min(this.end, from + step), Home: this.start, End: this.end };
    if (event.key in moves) this.point(moves[event.key], { selecting: event.shiftKey });
    else if (event.key === "Enter" && this.selection) this.zoom(...this.selection);
    else if (event.key === "+" || event.key === "=") this.scale(0.5);
    else if (event.key === "-") this.scale(2);
    else if (event.key === "0" || event.key === "Backspace") this.onReset();
    else if (event.key === "Escape") this.point(null);
    else return false;
    return true;
  }
}

// Let an element point at the axis, and show the cursor and the selection over it; with `keys` from the keyboard too.
export function control(element, axis, { keys = false } = {}) {
  const cursor = el("div", { class: "cursor", hidden: true });
  const brush = el("div", { class: "brush", hidden: true });
  element.append(brush, cursor);
  axis.addEventListener("cursor", () => {
    cursor.hidden = axis.cursor === null;
    brush.hidden = !axis.selection;
    cursor.style.left = `${axis.ratio(axis.cursor) * 100}%`;
    if (!axis.selection) return;
    const [low, high] = axis.selection.map((time) => Math.min(1, Math.max(0, axis.ratio(time))));
    brush.style.left = `${low * 100}%`;
    brush.style.width = `${(high - low) * 100}%`;
  });
  listenToPointer(element, axis);
  if (keys) element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !axis.key(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
}

function listenToPointer(element, axis) {
  let fromPx = null;
  const timeAt = (event) => {
    const box = element.getBoundingClientRect();
    return axis.at((event.clientX - box.left) / box.width);
  };
  const drop = () => { fromPx = null; axis.point(null); };
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    fromPx = event.clientX;
    axis.point(timeAt(event));
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => axis.point(timeAt(event), { selecting: fromPx !== null }));
  element.addEventListener("pointerup", (event) => {
    const dragged = fromPx !== null && Math.abs(event.clientX - fromPx) >= DRAG_PX_MIN;
    fromPx = null;
    if (dragged && axis.selection) axis.zoom(...axis.selection);
    else axis.point(timeAt(event));
  });
  element.addEventListener("pointercancel", drop);
  element.addEventListener("pointerleave", () => { if (fromPx === null && !axis.selection) drop(); });
  element.addEventListener("dblclick", () => axis.onReset());
}
