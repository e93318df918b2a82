// The logs page: filters, histogram, lines, live tail. All of what is shown is in the URL.

import { follow, getJson, hasToken, request } from "./api.js";
import { el, failure } from "./dom.js";
import { LEVELS, compact, hitExpression } from "./format.js";
import { Histogram } from "./histogram.js";
import { rowOf } from "./row.js";
import { FIELDS, RANGES, emptyState, filterParams, fromQuery, timeParams, toQuery } from "./state.js";
import { VirtualList } from "./virtual.js";

const PAGE_LINES = 500;
const KEPT_LINES_MAX = 50_000;
const BUCKETS = 120;
const LIVE_HISTOGRAM_MS = 5_000;
const OLDER_PX = 200;

export class LogsPage {
  // `fixed` are filters that belong to the page (a model's namespace and name) and are not shown.
  constructor(root, query, { fixed = {}, base = "#/logs" } = {}) {
    this.state = { ...fromQuery(query), ...fixed };
    this.fixed = fixed;
    this.base = base;
    this.open = new Set();
    this.selected = -1;
    this.stops = [];
    this.build(root);
    this.load();
  }

  close() {
    this.stopTail?.();
    clearInterval(this.redrawing);
    this.controller?.abort();
  }

  build(root) {
    this.filters = el("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); this.apply(); } });
    for (const field of FIELDS.filter((name) => !(name in this.fixed))) this.filters.append(this.fieldInput(field));
    this.text = el("input", { type: "search", "aria-label": "Search text", placeholder: "Search the messages…  ( / )", value: this.state.text });
    this.mode = el("select", { "aria-label": "How to search", onchange: () => this.apply() }, ...["contains", "words", "regex"].map((mode) => el("option", { value: mode, selected: mode === this.state.mode }, mode)));
    this.caseButton = el("button", { type: "button", "aria-pressed": String(this.state.ignoreCase), title: "Ignore case", onclick: () => this.toggle("ignoreCase", this.caseButton) }, "Aa");
    this.range = el("select", { "aria-label": "Time range", onchange: () => { this.state.start = ""; this.state.end = ""; this.state.since = this.range.value; this.apply(); } });
    this.liveButton = el("button", { type: "button", title: "Live tail (l)", "aria-pressed": String(this.state.live), onclick: () => this.toggle("live", this.liveButton) }, "● Live");
    this.filters.append(
      el("span", { class: "levels", role: "group", "aria-label": "Levels" }, ...LEVELS.map((level) => this.levelButton(level))),
      el("span", { class: "search" }, this.text, this.mode, this.caseButton, el("button", {}, "Search")), this.range, this.liveButton);
    this.chart = el("div", { class: "histogram" });
    this.histogram = new Histogram(this.chart, (start, end) => { Object.assign(this.state, { start, end, since: "", live: false }); this.apply(); });
    this.count = el("span", { "aria-live": "polite" });
    this.notice = el("span", { class: "notice", role: "status" });
    this.pauseButton = el("button", { type: "button", hidden: true, onclick: () => this.pause() }, "Pause");
    this.older = el("button", { type: "button", hidden: true, onclick: () => this.loadOlder() }, "Older lines");
    this.bar = el("div", { class: "bar" }, this.count, this.notice, el("span", { class: "grow" }), this.older, this.pauseButton,
      el("button", { type: "button", title: "Wrap long lines (w)", "aria-pressed": String(this.state.wrap), onclick: (event) => this.toggle("wrap", event.currentTarget) }, "Wrap"),
      el("button", { type: "button", onclick: () => this.link({ id: "" }) }, "Copy link"),
      el("a", { class: "download", download: "milepost.ndjson", onclick: (event) => this.download(event) }, "Download"));
    this.view = el("div", { class: `lines${this.state.wrap ? " wrap" : ""}`, role: "grid", tabindex: "0", "aria-label": "Log lines", style: "--columns: max-content 3.4rem minmax(8rem, 20rem) 1fr" });
    root.replaceChildren(this.filters, this.chart, this.bar, this.view);
    this.list = new VirtualList(this.view, (item) => rowOf(item, this));
    this.view.addEventListener("scroll", () => { if (this.view.scrollTop < OLDER_PX) this.loadOlder(); }, { passive: true });
  }

  fieldInput(field) {
    const options = el("datalist", { id: `values-${field}` });
    const input = el("input", {
      list: `values-${field}`, placeholder: field, "aria-label": field, value: this.state[field], name: field, autocomplete: "off",
      onfocus: () => this.suggest(field, input, options), oninput: () => this.suggest(field, input, options), onchange: () => this.apply(),
    });
    return el("label", {}, input, options);
  }

  async suggest(field, input, options) {
    const others = filterParams({ ...emptyState(), ...Object.fromEntries(FIELDS.filter((name) => name !== field).map((name) => [name, this.state[name]])) });
    try {
      const prefix = input.value.split(",").pop().trim().replace(/^!/, "");
      const answer = await getJson(`/api/v1/fields/${field}/values`, [["prefix", prefix], ["limit", "50"], ...others]);
      options.replaceChildren(...answer.values.filter((one) => one.value).map((one) => el("option", { value: one.value }, `${compact(one.lines ?? one.count)} lines`)));
    } catch { options.replaceChildren(); } // suggestions are a comfort; the search says what is wrong
  }

  levelButton(level) {
    const button = el("button", { type: "button", style: `color: var(--${level})`, "aria-pressed": String(this.state.level.includes(level)), onclick: () => {
      const chosen = new Set(this.state.level);
      if (!chosen.delete(level)) chosen.add(level);
      this.state.level = [...chosen];
      button.setAttribute("aria-pressed", String(chosen.has(level)));
      this.apply();
    } }, level);
    return button;
  }

  toggle(flag, button) {
    this.state[flag] = !this.state[flag];
    button.setAttribute("aria-pressed", String(this.state[flag]));
    if (flag === "wrap") {
      this.view.classList.toggle("wrap", this.state.wrap);
      this.list.forgetHeights();
      this.remember();
    } else this.apply();
  }

  apply() {
    for (const input of this.filters.querySelectorAll("input[list]")) this.state[input.name] = input.value;
    this.state.text = this.text.value;
    this.state.mode = this.mode.value;
    this.state.id = "";
    this.load({ step: true });
  }

  // Another search is a step that the browser's Back undoes.
  remember({ step = false } = {}) {
    const shown = { ...this.state, ...Object.fromEntries(Object.keys(this.fixed).map((name) => [name, ""])) };
    const query = toQuery(shown);
    const place = query ? `${this.base}?${query}` : this.base;
    if (step && place !== location.hash) history.pushState(null, "", place);
    else history.replaceState(null, "", place);
  }

  params() { return [...filterParams(this.state), ...timeParams(this.state)]; }

  async load(how) {
    this.remember(how);
    this.stopTail?.();
    this.stopTail = undefined;
    this.next = null;
    this.paused = false;
    this.waiting = [];
    clearInterval(this.redrawing);
    this.controller?.abort();
    this.controller = new AbortController();
    this.hits = hitExpression(this.state);
    this.withDay = !["5m", "15m", "1h"].includes(this.state.since);
    this.open.clear();
    this.selected = -1;
    this.say("");
    this.rangeOptions();
    this.bar.querySelector(".download").href = `/api/v1/export?${new URLSearchParams(this.params())}`;
    this.pauseButton.hidden = !this.state.live;
    this.older.hidden = true;
    this.pauseButton.textContent = "Pause";
    this.list.holdEnd = this.state.live;
    this.list.sticky = true;
    this.drawHistogram();
    if (!this.state.live) return this.search();
    this.redrawing = setInterval(() => this.drawHistogram(), LIVE_HISTOGRAM_MS);
    this.list.set([]);
    return this.tail();
  }

  // A link carries no token: with one, the answer is fetched and then saved.
  async download(event) {
    if (!hasToken()) return;
    event.preventDefault();
    this.say("fetching…");
    try {
      const answer = await request("/api/v1/export", this.params(), { accept: "application/x-ndjson", signal: this.controller.signal });
      const url = URL.createObjectURL(await answer.blob());
      el("a", { href: url, download: "milepost.ndjson" }).click();
      setTimeout(() => URL.revokeObjectURL(url), LIVE_HISTOGRAM_MS);
      this.say("");
    } catch (error) {
      this.say(`not downloaded: ${error.message}`);
    }
  }

  rangeOptions() {
    const custom = this.state.start || this.state.end;
    this.range.replaceChildren(...RANGES.map((range) => el("option", { value: range, selected: range === this.state.since }, `last ${range}`)), custom && el("option", { value: "", selected: true }, "zoomed"));
  }

  async search() {
    const signal = this.controller.signal;
    this.count.textContent = "searching…";
    try {
      if (this.state.id) { await this.context(this.state.id); return; }
      const page = await getJson("/api/v1/logs", [...this.params(), ["limit", String(PAGE_LINES)], ["direction", "backward"]], { signal });
      if (signal.aborted) return;
      this.list.set(page.lines.reverse());
      this.next = page.next;
      this.older.hidden = !page.next;
      this.describe(page);
    } catch (error) {
      if (signal.aborted) return;
      this.list.set([]);
      this.count.textContent = "";
      this.list.sizer.replaceChildren(failure(error));
    }
  }

  async loadOlder() {
    const cursor = this.next;
    if (!cursor) return;
    this.next = null; // one page at a time
    const signal = this.controller.signal;
    try {
      const page = await getJson("/api/v1/logs", [...this.params(), ["limit", String(PAGE_LINES)], ["direction", "backward"], ["cursor", cursor]], { signal });
      if (signal.aborted) return;
      this.list.sticky = false;
      if (this.selected >= 0) this.selected += page.lines.length;
      this.list.prepend(page.lines.reverse());
      this.next = page.next;
      this.older.hidden = !page.next;
      this.describe(page);
    } catch (error) {
      if (signal.aborted) return;
      this.next = cursor;
      this.say(`no older lines: ${error.message}`);
    }
  }

  describe(page) {
    this.count.textContent = `${compact(this.list.items.length)} lines${page.next ? ", older ones exist" : ""}`;
    const ended = { time: "the time limit of a query was reached", memory: "the memory limit of a query was reached" }[page.ended];
    const refused = page.refused_namespaces?.length ? `not allowed: ${page.refused_namespaces.join(", ")}` : "";
    this.say([ended, refused].filter(Boolean).join("; "));
  }

  say(words) { this.notice.textContent = words; }

  tail() {
    this.dropped = 0;
    this.count.textContent = "connecting…";
    this.stopTail = follow("/api/v1/logs/tail", [...filterParams(this.state), ["lines", "200"]], {
      event: (event) => this.take(event),
      state: (state) => { this.connection = state; this.describeTail(); },
      failure: (error) => { this.count.textContent = ""; this.list.sizer.replaceChildren(failure(error)); },
    });
  }

  take(event) {
    if (event.event === "message") this.add(JSON.parse(event.data));
    else if (event.event === "dropped") {
      const notice = JSON.parse(event.data);
      this.dropped += notice.lines;
      this.add([{ gap: `${notice.lines} lines dropped: this page was too slow for them. Search the time range to see them.` }]);
    } else if (event.event === "reset") this.add([{ gap: JSON.parse(event.data).detail }]);
    else if (event.event === "access") this.showAccess(JSON.parse(event.data));
    this.describeTail();
  }

  showAccess({ refused_namespaces: refused = [], ended }) {
    if (ended) this.add([{ gap: ended }]);
    if (refused.length) this.say(`not allowed: ${refused.join(", ")}`);
  }

  add(lines) {
    const target = this.paused ? this.waiting : null;
    if (target) target.push(...lines); else this.list.append(lines);
    const surplus = this.list.items.length + this.waiting.length - KEPT_LINES_MAX;
    if (surplus > 0 && !this.paused) { this.list.dropFirst(surplus); this.selected = Math.max(-1, this.selected - surplus); }
    else if (surplus > 0) { this.dropped += surplus; this.waiting.splice(0, surplus); }
  }

  describeTail() {
    this.count.textContent = `${this.connection}: ${compact(this.list.items.length)} lines${this.paused ? `, ${compact(this.waiting.length)} waiting` : ""}`;
    if (this.dropped) this.say(`${this.dropped} lines dropped`);
  }

  pause() {
    if (!this.state.live) return;
    this.paused = !this.paused;
    this.pauseButton.textContent = this.paused ? "Go on" : "Pause";
    this.list.holdEnd = !this.paused;
    if (this.paused) this.list.sticky = false;
    if (!this.paused) { const waiting = this.waiting; this.waiting = []; this.add(waiting); }
    this.describeTail();
  }

  async drawHistogram() {
    try {
      const answer = await getJson("/api/v1/histogram", [...this.params(), ["buckets", String(BUCKETS)]], { signal: this.controller.signal });
      this.histogram.show(answer.buckets.map((one) => ({ start: Date.parse(one.start), end: Date.parse(one.end), counts: one.by })));
    } catch (error) {
      if (error.name !== "AbortError") this.chart.replaceChildren(el("span", { class: "muted" }, `no histogram: ${error.message}`));
    }
  }

  // What a row asks of the page.
  get here() { return this.state.id; }
  get wrap() { return this.state.wrap; }
  isOpen(item) { return this.open.has(item.id); }
  isSelected(item) { return this.list.items[this.selected] === item; }

  onOpen(item) {
    if (getSelection().toString()) return;
    if (!this.open.delete(item.id)) this.open.add(item.id);
    this.list.sticky = false;
    this.select(this.list.items.indexOf(item));
    this.list.render(); // its height is known now: show what was opened
    this.list.scrollTo(this.selected);
  }

  onFilter(field, value) {
    this.state[field] = value;
    const input = this.filters.querySelector(`input[name="${field}"]`);
    if (input) input.value = value;
    this.apply();
  }

  async onContext(item) { this.state.live = false; this.liveButton.setAttribute("aria-pressed", "false"); this.state.id = item.id; await this.load({ step: true }); }

  async context(id) {
    const answer = await getJson("/api/v1/logs/context", [["id", id], ["before", "100"], ["after", "100"]], { signal: this.controller.signal });
    this.list.sticky = false;
    this.list.set(answer.lines);
    this.count.textContent = `${answer.lines.length} lines of the same file around the marked one`;
    this.select(answer.lines.findIndex((line) => line.id === id));
    this.list.scrollTo(this.selected, "center");
  }

  onLink(item) { this.link({ id: item.id }); }

  link(change) {
    const query = toQuery({ ...this.state, live: false, ...change });
    const url = `${location.origin}${location.pathname}#/logs?${query}`;
    navigator.clipboard?.writeText(url);
    this.say("link copied");
  }

  select(index) {
    if (!this.list.items.length) return;
    const before = this.selected;
    this.list.sticky = false;
    this.selected = Math.max(0, Math.min(index, this.list.items.length - 1));
    for (const changed of [before, this.selected]) this.list.refresh(changed);
    this.list.scrollTo(this.selected);
  }

  // Keys of the page; returns whether the key was used.
  key(event) {
    const last = this.list.items.length - 1;
    const actions = {
      "/": () => this.text.focus(), l: () => this.liveButton.click(), " ": () => this.pause(), w: () => this.bar.querySelector("[title^=Wrap]").click(),
      j: () => this.select(this.selected + 1), k: () => this.select(this.selected - 1), g: () => { this.list.sticky = false; this.select(0); }, G: () => { this.select(last); this.list.sticky = this.list.holdsEnd; },
      Enter: () => this.selected >= 0 && this.onOpen(this.list.items[this.selected]), c: () => this.selected >= 0 && this.onContext(this.list.items[this.selected]),
    };
    if (!actions[event.key]) return false;
    actions[event.key]();
    return true;
  }
}
