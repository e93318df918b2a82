// The filters of a logs page: fields with suggestions, levels, text, range, live. It writes into the page's state.

import { getJson } from "./api.js";
import { el } from "./dom.js";
import { LEVELS, compact } from "./format.js";
import { FIELDS, RANGES, emptyState, filterParams, isZoomed } from "./state.js";

const SUGGESTED = "50";
const OTHER = "other";

export class FilterBar {
  // `hidden` are fields that belong to the page; `apply()` searches; `live()` is asked for by the button; `ask()` asks for
  // an exact range.
  constructor(state, { hidden, apply, live, ask }) {
    Object.assign(this, { state, apply });
    this.form = el("form", { class: "filters", role: "search", "aria-label": "Filters", onsubmit: (event) => { event.preventDefault(); apply(); } });
    for (const field of FIELDS.filter((name) => !hidden.includes(name))) this.form.append(this.fieldInput(field));
    this.text = el("input", { type: "search", "aria-label": "Search text", placeholder: "Search the messages…  ( / )", value: state.text });
    this.mode = el("select", { "aria-label": "How to search", onchange: apply }, ...["contains", "words", "regex"].map((mode) => el("option", { value: mode, selected: mode === state.mode }, mode)));
    this.caseButton = el("button", { type: "button", "aria-pressed": String(state.ignoreCase), title: "Ignore case", "aria-label": "Aa: ignore case", onclick: () => { this.state.ignoreCase = !this.state.ignoreCase; apply(); } }, "Aa");
    this.range = el("select", { "aria-label": "Time range", onchange: () => this.chooseRange(ask) });
    this.liveButton = el("button", { type: "button", title: "Live tail (l)", "aria-pressed": String(state.live), onclick: live }, "● Live");
    this.form.append(
      el("span", { class: "levels", role: "group", "aria-label": "Levels" }, ...LEVELS.map((level) => this.levelButton(level))),
      el("span", { class: "search" }, this.text, this.mode, this.caseButton, el("button", {}, "Search"), this.range, this.liveButton));
  }

  // Take what the inputs say into the state.
  read() {
    for (const input of this.form.querySelectorAll("input[list]")) this.state[input.name] = input.value;
    this.state.text = this.text.value;
    this.state.mode = this.mode.value;
  }

  // Show the state, which also changes elsewhere: the range by a zoom, live by a link to a line, all by dropping filters.
  show() {
    for (const input of this.form.querySelectorAll("input[list]")) input.value = this.state[input.name];
    for (const button of this.form.querySelectorAll("[data-level]")) button.setAttribute("aria-pressed", String(this.state.level.includes(button.dataset.level)));
    this.text.value = this.state.text;
    this.mode.value = this.state.mode;
    this.caseButton.setAttribute("aria-pressed", String(this.state.ignoreCase));
    const exact = isZoomed(this.state);
    const shown = exact && el("option", { value: "", selected: true, disabled: true }, "exact range");
    this.range.replaceChildren(...[...RANGES.map((range) => el("option", { value: range, selected: !exact && range === this.state.since }, `last ${range}`)), shown, el("option", { value: OTHER }, "other…")].filter(Boolean));
    this.liveButton.setAttribute("aria-pressed", String(this.state.live));
  }

  async chooseRange(ask) {
    const chosen = this.range.value;
    this.read();
    this.show(); // "other" is no range: the old one stays until another is chosen
    const change = chosen === OTHER ? await ask() : { start: "", end: "", since: chosen };
    if (!change) return;
    Object.assign(this.state, change);
    this.apply();
  }

  set(field, value) {
    this.state[field] = value;
    const input = this.form.querySelector(`input[name="${field}"]`);
    if (input) input.value = value;
  }

  fieldInput(field) {
    const options = el("datalist", { id: `values-${field}` });
    const input = el("input", {
      list: `values-${field}`, placeholder: field, "aria-label": field, value: this.state[field], name: field, autocomplete: "off", spellcheck: "false",
      onfocus: () => this.suggest(field, input, options), oninput: () => this.suggest(field, input, options), onchange: () => this.apply(),
    });
    return el("label", {}, input, options);
  }

  // Values that the other filters leave; what was typed before the last comma is kept. Answers to what was typed before
  // come too late and are not shown.
  async suggest(field, input, options) {
    const others = filterParams({ ...emptyState(), ...Object.fromEntries(FIELDS.filter((name) => name !== field).map((name) => [name, this.state[name]])) });
    const typed = input.value;
    const [, before, not, prefix] = /^(.*,)?\s*(!?)(.*)$/.exec(typed);
    try {
      const answer = await getJson(`/api/v1/fields/${field}/values`, [[field, `${prefix}*`], ["limit", SUGGESTED], ...others]);
      if (input.value !== typed) return;
      options.replaceChildren(...answer.values.filter((one) => one.value).map((one) => el("option", { value: `${before || ""}${not}${one.value}` }, `${compact(one.lines)} lines`)));
    } catch { options.replaceChildren(); } // suggestions are a comfort; the search says what is wrong
  }

  levelButton(level) {
    return el("button", { type: "button", class: `level-${level}`, "data-level": level, "aria-pressed": String(this.state.level.includes(level)), onclick: () => {
      const chosen = new Set(this.state.level);
      if (!chosen.delete(level)) chosen.add(level);
      this.state.level = [...chosen];
      this.apply();
    } }, level);
  }
}
