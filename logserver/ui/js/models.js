// Every model: state and why it does not serve, version, replicas, traffic, errors, latency, CPU, memory, GPU. Sorted and
// filtered on the page; both are in the URL. Those in trouble come first.

import { el, failure, place } from "./dom.js";
import { clock } from "./format.js";
import { columnsOf, inTrouble, kindOf } from "./modelcells.js";
import { loadRows, loadWhy } from "./platform.js";
import { loadModels } from "./sources.js";

const REFRESH_MS = 15_000;
const WHY_MS = 60_000; // a look at the cluster as the caller: not with every refresh
const WHY_AT_ONCE = 8;
const WITHOUT_EXPORTER = "State, traffic and use come from the exporter, which is not configured (ui.exporter_url): these are the models that have printed lines.";

export class ModelsPage {
  constructor(root, query, config) {
    const params = new URLSearchParams(query);
    this.columns = columnsOf(config);
    const sorted = this.columns.findIndex(({ title }) => title === params.get("sort"));
    const usual = Math.max(0, this.columns.findIndex(({ title }) => title === "State"));
    Object.assign(this, { config, usual, sort: sorted < 0 ? usual : sorted, down: params.get("down") === "1", models: [], rows: new Map(), whys: new Map() });
    this.search = el("input", { type: "search", placeholder: "Filter models…  ( / )", "aria-label": "Filter models", value: params.get("filter") || "", oninput: () => this.arrange() });
    this.summary = el("span", { class: "muted", role: "status" }, "loading…");
    this.said = el("div");
    this.body = el("tbody");
    this.heads = this.columns.map((one, index) => el("th", { scope: "col", class: one.number && "number" }, el("button", { type: "button", onclick: () => this.sortBy(index) }, one.title)));
    this.table = el("table", { class: config.exporter ? "" : "narrow", hidden: true }, el("thead", {}, el("tr", {}, ...this.heads)), this.body);
    this.nothing = el("p", { class: "empty", hidden: true });
    root.replaceChildren(el("div", { class: "page" }, el("h1", {}, "Models", this.search, this.summary), this.said, this.table, this.nothing));
    this.load();
    this.timer = setInterval(() => document.hidden || this.load(), REFRESH_MS);
  }

  close() { clearInterval(this.timer); this.controller?.abort(); }

  // The exporter or the logs say which models there are; what the platform adds may be missing.
  async load() {
    this.controller?.abort();
    this.controller = new AbortController();
    const { signal } = this.controller;
    try {
      const { models, complete } = await loadModels(this.config, { signal });
      const namespaces = [...new Set(models.map(({ namespace }) => namespace))];
      const [rows] = await Promise.allSettled([this.config.platform ? loadRows(namespaces, { signal }) : new Map()]);
      if (signal.aborted) return;
      this.models = models.map((one) => ({ ...one, platform: rows.value?.get(keyOf(one)), findings: this.whys.get(keyOf(one))?.findings }));
      Object.assign(this, { loadedAt: Date.now(), complete });
      this.say(rows.reason);
      this.draw();
      await this.explain(signal);
    } catch (error) {
      if (!signal.aborted) this.say(error, this.loadedAt);
    }
  }

  // What is wrong; an old table stays, and says of when it is.
  say(error, of) {
    const age = of ? ` What is shown is of ${clock(of).slice(0, 8)}.` : "";
    const note = !this.config.exporter && el("p", { class: "muted" }, WITHOUT_EXPORTER);
    const more = this.complete === false && el("p", { class: "notice" }, "There are more namespaces or models than a page can list: not all are here.");
    this.said.replaceChildren(...[note, more, error && failure({ message: `${error.message}.${age}` })].filter(Boolean));
    if (!this.loadedAt) this.summary.textContent = "";
  }

  // Ask the platform why the models in trouble do not serve, a few at a time, those asked longest ago first.
  async explain(signal) {
    if (!this.config.platform) return;
    const at = (one) => this.whys.get(keyOf(one))?.at ?? 0;
    const troubled = this.models.filter(inTrouble);
    const due = troubled.filter((one) => Date.now() - at(one) > WHY_MS).sort((a, b) => at(a) - at(b)).slice(0, WHY_AT_ONCE);
    const answers = await Promise.allSettled(due.map((one) => loadWhy(this.config, { ...one, signal })));
    if (signal.aborted) return;
    const keys = new Set(troubled.map(keyOf));
    this.whys = new Map([...this.whys].filter(([key]) => keys.has(key)));
    answers.forEach(({ value }, index) => this.whys.set(keyOf(due[index]), { at: Date.now(), findings: value?.findings ?? [] }));
    for (const one of this.models) one.findings = this.whys.get(keyOf(one))?.findings;
    if (due.length) this.draw();
  }

  sortBy(index) {
    this.down = index === this.sort ? !this.down : Boolean(this.columns[index].number); // the greatest number first
    this.sort = index;
    this.arrange();
  }

  // Draw what the reader arranged anew, and keep it in the address.
  arrange() {
    const params = new URLSearchParams();
    if (this.search.value) params.set("filter", this.search.value);
    if (this.sort !== this.usual) params.set("sort", this.columns[this.sort].title);
    if (this.down) params.set("down", "1");
    history.replaceState(null, "", `#/models${params.size ? `?${params}` : ""}`);
    this.draw();
  }

  // A cell that says the same as before stays: what a reader selected in it outlives a refresh.
  row(one) {
    const row = this.rows.get(keyOf(one)) ?? el("tr");
    const cells = this.columns.map((column) => column.cell(one));
    place(row, cells.map((cell, index) => (cell.isEqualNode(row.children[index]) ? row.children[index] : cell)));
    return row;
  }

  draw() {
    const wanted = this.search.value.toLowerCase();
    const { of } = this.columns[this.sort];
    const order = (a, b) => compare(of(a), of(b)) * (this.down ? -1 : 1) || compare(keyOf(a), keyOf(b));
    const shown = this.models.filter((one) => keyOf(one).toLowerCase().includes(wanted)).sort(order);
    this.heads.forEach((head, index) => head.setAttribute("aria-sort", index === this.sort ? (this.down ? "descending" : "ascending") : "none"));
    const focused = document.activeElement?.dataset.focus;
    this.rows = new Map(shown.map((one) => [keyOf(one), this.row(one)]));
    place(this.body, this.rows.values());
    if (focused) this.body.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
    this.summary.textContent = this.loadedAt ? this.counted(shown.length) : "loading…";
    this.table.hidden = !shown.length;
    this.nothing.hidden = Boolean(shown.length) || !this.loadedAt;
    this.nothing.textContent = this.models.length ? "No model has this in its name." : "No model yet: one appears here when it is deployed, or prints a line.";
  }

  counted(shown) {
    const all = this.models.length;
    const broken = this.models.filter((one) => kindOf(one) === "bad").length;
    const serving = this.columns.some(({ title }) => title === "State") && all ? (broken ? `, ${broken} not serving` : ", all serving") : "";
    return `${shown === all ? "" : `${shown} of `}${all} model${all === 1 ? "" : "s"}${serving}`;
  }

  key(event) {
    if (event.key !== "/") return false;
    this.search.focus();
    return true;
  }
}

function keyOf({ namespace, model }) { return `${namespace}/${model}`; }

// What is unknown comes first, last when the greatest does.
function compare(a, b) {
  if (a === undefined || a === null) return b === undefined || b === null ? 0 : -1;
  if (b === undefined || b === null) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
