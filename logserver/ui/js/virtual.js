// A list of any length of which only the visible rows exist. Rows may differ in height: one that is opened or wrapped is
// measured after it is drawn, the others count as `ROW_PX`. The row of an item stays the same element for as long as it is
// visible, whatever comes, goes or changes size around it: a selection of text and a click under way are not lost.

import { place } from "./dom.js";

const ROW_PX = 20;
const SPARE_ROWS = 12;

export class VirtualList {
  // `draw(item)` returns the element of a row.
  constructor(container, draw) {
    this.container = container;
    this.draw = draw;
    this.items = [];
    this.said = null;
    this.heights = [];
    this.tops = [0];
    this.firstDirty = 0;
    this.sticky = false; // stay at the end while lines arrive, until the reader scrolls up
    this.holdsEnd = false;
    this.lastScroll = 0;
    this.sizer = document.createElement("div");
    this.sizer.className = "sizer";
    this.sizer.setAttribute("role", "rowgroup");
    container.replaceChildren(this.sizer);
    this.rows = new Map(); // the element of each item that is drawn
    this.stale = new Set(); // drawn items that look different by now
    container.addEventListener("scroll", () => this.onScroll(), { passive: true });
    new ResizeObserver(() => this.forgetHeights()).observe(container);
  }

  // However the reader scrolls (wheel, keys, scrollbar, touch): up lets go of the end, back at the end takes hold again.
  onScroll() {
    if (this.atEnd()) this.sticky = this.holdsEnd;
    else if (this.container.scrollTop < this.lastScroll) this.sticky = false;
    this.lastScroll = this.container.scrollTop;
    this.schedule();
  }

  // Whether the end is held whenever the reader is there: wanted while lines arrive.
  set holdEnd(wanted) { this.holdsEnd = wanted; if (wanted) this.sticky = true; }

  set(items) {
    this.items = items;
    this.said = null;
    this.forgetHeights();
  }

  // Show something in place of items; it stays until there are some.
  say(content) {
    this.set([]);
    const cell = document.createElement("div");
    cell.setAttribute("role", "gridcell");
    cell.append(content);
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    row.append(cell);
    this.said = row;
  }

  append(items) {
    if (items.length) this.said = null;
    for (const item of items) { this.items.push(item); this.heights.push(ROW_PX); }
    this.schedule();
  }

  // Put items in the place of one.
  replace(item, items) {
    const index = this.items.indexOf(item);
    if (index < 0) return;
    this.items = [...this.items.slice(0, index), ...items, ...this.items.slice(index + 1)];
    this.forgetHeights();
  }

  prepend(items) {
    const height = this.top(this.items.length);
    this.items.unshift(...items);
    this.heights.unshift(...new Array(items.length).fill(ROW_PX));
    this.firstDirty = 0;
    this.schedule();
    this.resize();
    this.container.scrollTop += this.top(this.items.length) - height;
  }

  dropFirst(count) {
    const height = this.top(count);
    this.items.splice(0, count);
    this.heights.splice(0, count);
    this.firstDirty = 0;
    this.schedule();
    if (!this.sticky) this.container.scrollTop -= height;
  }

  forgetHeights() {
    this.heights = new Array(this.items.length).fill(ROW_PX);
    this.firstDirty = 0;
    this.schedule();
  }

  // Draw an item, or all of them, anew. What is drawn stays until the frame that does so: none in between lacks a row.
  refresh(...items) {
    for (const item of items) this.stale.add(item);
    this.schedule();
  }

  redraw() {
    this.forgetHeights();
    this.refresh(...this.rows.keys());
  }

  top(index) {
    for (let i = this.firstDirty; i < this.items.length; i++) this.tops[i + 1] = this.tops[i] + this.heights[i];
    this.firstDirty = this.items.length;
    return this.tops[index];
  }

  atEnd() {
    return this.container.scrollTop + this.container.clientHeight >= this.top(this.items.length) - ROW_PX;
  }

  scrollTo(index, block = "nearest") {
    this.resize();
    const top = this.top(index), bottom = this.top(index + 1), view = this.container;
    if (block === "center") view.scrollTop = top - view.clientHeight / 2;
    else if (top < view.scrollTop) view.scrollTop = top;
    else if (bottom > view.scrollTop + view.clientHeight) view.scrollTop = Math.min(top, bottom - view.clientHeight);
    this.schedule();
  }

  // Nothing can be scrolled to before the sizer is as high as the rows.
  resize() {
    const total = this.top(this.items.length);
    this.sizer.style.height = `${total}px`;
    return total;
  }

  schedule() {
    this.pending ??= requestAnimationFrame(() => { this.pending = undefined; this.render(); });
  }

  indexAt(pixel) {
    let low = 0, high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] <= pixel) low = middle + 1; else high = middle;
    }
    return low;
  }

  render() {
    const view = this.container;
    const total = this.resize();
    if (this.sticky) { view.scrollTop = total; this.lastScroll = view.scrollTop; }
    this.first = Math.max(0, this.indexAt(view.scrollTop) - SPARE_ROWS);
    const last = Math.min(this.items.length, this.indexAt(view.scrollTop + view.clientHeight) + SPARE_ROWS);
    const before = this.rows, kept = (item) => !this.stale.has(item) && before.get(item);
    this.rows = new Map(this.items.slice(this.first, last).map((item) => [item, kept(item) || this.draw(item)]));
    this.stale.clear();
    place(this.sizer, this.said ? [this.said] : this.rows.values()); // in the order in which a selection is copied
    this.measure();
  }

  measure() {
    const anchor = this.indexAt(this.container.scrollTop);
    const anchorTop = this.tops[anchor];
    const rows = [...this.rows.values()];
    let changed = false;
    rows.forEach((row, drawn) => {
      const index = this.first + drawn, height = row.offsetHeight || ROW_PX;
      if (height === this.heights[index]) return;
      this.heights[index] = height;
      this.firstDirty = Math.min(this.firstDirty, index);
      changed = true;
    });
    this.resize();
    rows.forEach((row, drawn) => { row.style.top = `${this.tops[this.first + drawn]}px`; });
    if (!changed) return;
    // What became higher above the first visible line must not push it away.
    if (!this.sticky && this.tops[anchor] !== anchorTop) this.container.scrollTop += this.tops[anchor] - anchorTop;
    this.schedule();
  }
}
