// The lines that a logs page shows: which is selected, which are open, their columns, and the keys that move among them.

import { el } from "./dom.js";
import { gridOf, markSelected, rowOf, SELECTED } from "./row.js";
import { VirtualList } from "./virtual.js";

export class Lines {
  // `asks` are what a row asks of the page: {onFilter(field, value), onContext(item), onLink(item), onCopy(text), onFetch(gap)}.
  constructor(state, asks) {
    Object.assign(this, { state, open: new Set(), selected: null, hits: null, withDay: false }, asks);
    this.element = el("div", { class: "lines", role: "grid", tabindex: "0", "aria-label": "Log lines" });
    this.list = new VirtualList(this.element, (item) => rowOf(item, this));
    this.style();
  }

  get count() { return this.list.items.length; }
  get columns() { return this.state.columns.split(",").filter(Boolean); }
  get wrap() { return this.state.wrap; }
  get here() { return this.state.id; }
  shows(column) { return this.columns.includes(column); }
  isOpen(item) { return this.open.has(item.id); }
  isSelected(item) { return this.selected === item; }

  // Begin another search: `hits` are marked in the messages, `withDay` shows times with their day.
  begin({ hits, withDay, live }) {
    Object.assign(this, { hits, withDay, selected: null });
    this.open.clear();
    this.element.removeAttribute("aria-activedescendant");
    this.list.holdEnd = live;
    this.list.sticky = true;
  }

  // Draw anew after the columns or the wrapping changed.
  style() {
    this.element.classList.toggle("wrap", this.wrap);
    this.element.style.setProperty("--columns", gridOf(this.columns));
    this.list.redraw();
  }

  // Older lines, above those that are there.
  prepend(lines) {
    this.list.sticky = false;
    this.list.prepend(lines);
  }

  onOpen(item) {
    if (!this.open.delete(item.id)) this.open.add(item.id);
    const index = this.list.items.indexOf(item);
    this.select(index);
    this.list.refresh(item);
    this.list.render(); // its height is known now: show what was opened
    this.list.scrollTo(index);
  }

  select(index, block) {
    if (!this.count) return;
    const before = this.selected, chosen = Math.max(0, Math.min(index, this.count - 1));
    this.list.sticky = false;
    this.selected = this.list.items[chosen];
    this.mark(before);
    this.mark(this.selected);
    this.element.setAttribute("aria-activedescendant", SELECTED);
    this.list.scrollTo(chosen, block);
  }

  mark(item) {
    const row = this.list.rows.get(item);
    if (row) markSelected(row, this.isSelected(item));
  }

  // Returns whether the key was used.
  key(event) {
    const chosen = this.selected, at = this.list.items.indexOf(chosen);
    const actions = {
      j: () => this.select(at + 1), k: () => this.select(at - 1), g: () => this.select(0),
      G: () => { this.select(this.count - 1); this.list.sticky = this.list.holdsEnd; },
      Enter: () => chosen?.id && this.onOpen(chosen), c: () => chosen?.id && this.onContext(chosen),
    };
    actions[event.key]?.();
    return event.key in actions;
  }
}
