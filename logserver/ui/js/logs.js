// The logs page: filters, lines over time, the lines themselves or their live tail. All of what is shown is in the URL.

import { getJson, hasToken } from "./api.js";
import { Axis } from "./axis.js";
import { Bar } from "./bar.js";
import { copied } from "./clipboard.js";
import { el, failure } from "./dom.js";
import { save } from "./download.js";
import { FilterBar } from "./filterbar.js";
import { compact, hitExpression } from "./format.js";
import { Histogram } from "./histogram.js";
import { Lines } from "./lines.js";
import { LiveLines } from "./livelines.js";
import { askedRange } from "./range.js";
import { emptyState, filterParams, fromQuery, isZoomed, rangeMs, timeParams, toQuery } from "./state.js";

const PAGE_LINES = 500;
const BUCKETS = 120;
const HISTOGRAM_MS = { live: 5_000, still: 15_000 };
const OLDER_PX = 200;
const SAVED_AS = "milepost.ndjson";
const SAME_DAY = ["5m", "15m", "1h"];
const LONGER = "24h";

export class LogsPage {
  // `fixed` are filters that belong to the page (a model's namespace and name) and are not shown; `charts(axis)` returns
  // what is to be drawn above the histogram on the same axis.
  constructor(root, query, { linesMax, fixed = {}, base = "#/logs", charts } = {}) {
    this.state = { ...fromQuery(query), ...fixed };
    Object.assign(this, { linesMax, fixed, base, next: null });
    this.axis = new Axis({ onZoom: (start, end) => this.zoom(start, end), onReset: () => this.unzoom() });
    this.build(root, { base, charts: charts?.(this.axis) });
    this.load();
  }

  close() {
    this.live?.stop();
    clearInterval(this.redrawing);
    this.controller?.abort();
  }

  build(root, { base, charts }) {
    this.filters = new FilterBar(this.state, { hidden: Object.keys(this.fixed), apply: () => this.apply(), live: () => this.toggleLive(), ask: () => this.askRange() });
    const chart = el("div", { class: "histogram" });
    this.histogram = new Histogram(chart, this.axis);
    this.lines = new Lines(this.state, {
      onFilter: (field, value) => this.onFilter(field, value), onContext: (item) => this.onContext(item), onFetch: (gap) => this.onFetch(gap),
      onLink: (item) => this.link({ id: item.id }), onCopy: async (text) => this.bar.say((await copied(text)) ? "copied" : "this browser does not let the page copy"),
    });
    this.lines.element.addEventListener("scroll", () => { if (this.lines.element.scrollTop < OLDER_PX) this.loadOlder(); }, { passive: true });
    this.bar = new Bar(this.state, SAVED_AS, {
      newer: () => this.load(), older: () => this.loadOlder(), pause: () => this.pause(), wrap: () => this.toggleWrap(),
      restyle: () => this.restyle(), link: () => this.link({ id: "" }), download: (event) => this.download(event),
    });
    const title = base === "#/logs" && el("h1", { class: "unseen" }, "Logs");
    root.replaceChildren(...[title, this.filters.form, charts, chart, this.bar.element, this.lines.element].filter(Boolean));
  }

  toggleLive() {
    this.state.live = !this.state.live;
    this.apply();
  }

  toggleWrap() {
    this.state.wrap = !this.state.wrap;
    this.bar.showWrap();
    this.restyle();
  }

  restyle() {
    this.lines.style();
    this.remember();
  }

  apply() {
    this.filters.read();
    this.state.id = "";
    this.load({ step: true });
  }

  zoom(start, end) {
    Object.assign(this.state, { start: new Date(start).toISOString(), end: new Date(end).toISOString(), live: false });
    this.apply();
  }

  async askRange() {
    const range = await askedRange(this.axis.start, this.axis.end);
    return range && { ...range, live: false };
  }

  unzoom() {
    if (!isZoomed(this.state)) return;
    Object.assign(this.state, { start: "", end: "" });
    this.apply();
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
    this.live?.stop();
    this.live = null;
    clearInterval(this.redrawing);
    this.controller?.abort();
    this.controller = new AbortController();
    Object.assign(this, { next: null, searched: null, searchedAt: Date.now() });
    this.axis.ask(rangeMs(this.state, this.searchedAt));
    this.lines.begin({ hits: hitExpression(this.state), withDay: !SAME_DAY.includes(this.state.since) || isZoomed(this.state), live: this.state.live });
    this.filters.show();
    this.bar.begin(`/api/v1/export?${new URLSearchParams(this.params())}`);
    this.drawHistogram();
    const moves = this.state.live || !isZoomed(this.state);
    if (moves) this.redrawing = setInterval(() => document.hidden || this.drawHistogram(), HISTOGRAM_MS[this.state.live ? "live" : "still"]);
    return this.state.live ? this.tail() : this.search();
  }

  // A link carries no token: with one, the answer is fetched and then saved.
  async download(event) {
    if (!hasToken()) return;
    event.preventDefault();
    this.bar.say("fetching…");
    try {
      await save(SAVED_AS, "/api/v1/export", this.params(), { accept: "application/x-ndjson", signal: this.controller.signal });
      this.bar.say("");
    } catch (error) {
      this.bar.say(`not downloaded: ${error.message}`);
    }
  }

  async search() {
    const signal = this.controller.signal;
    this.bar.counted("searching…");
    try {
      if (this.state.id) { await this.context(this.state.id, signal); return; }
      const page = await this.page([], signal);
      if (signal.aborted) return;
      this.lines.list.set(page.lines.reverse());
      this.describe(page);
      if (!this.lines.count) this.lines.list.say(this.nothing());
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  // What to do where no line is found.
  nothing() {
    const search = (change) => () => { Object.assign(this.state, change(this.state)); this.load({ step: true }); };
    const unfiltered = ({ since, start, end, wrap, columns }) => ({ ...emptyState(), ...this.fixed, since, start, end, wrap, columns });
    const filtered = filterParams(this.state).length > Object.keys(this.fixed).length;
    return el("div", { class: "empty" }, el("p", {}, filtered ? "No line in this range has all of these." : "No line in this range."),
      el("button", { type: "button", onclick: search(() => ({ start: "", end: "", since: LONGER })) }, `Search the last ${LONGER}`), " ",
      filtered && el("button", { type: "button", onclick: search(unfiltered) }, "Drop the filters"));
  }

  page(more, signal) {
    return getJson("/api/v1/logs", [...this.params(), ["limit", String(PAGE_LINES)], ["direction", "backward"], ...more], { signal });
  }

  fail(error) {
    this.bar.counted("");
    this.lines.list.say(failure(error));
  }

  async loadOlder() {
    const cursor = this.next;
    if (!cursor) return;
    this.next = null; // one page at a time
    const signal = this.controller.signal;
    try {
      const page = await this.page([["cursor", cursor]], signal);
      if (signal.aborted) return;
      this.lines.prepend(page.lines.reverse());
      this.describe(page);
    } catch (error) {
      if (signal.aborted) return;
      this.next = cursor;
      this.bar.say(`no older lines: ${error.message}`);
    }
  }

  // How many lines there are, and honestly what is not among them.
  describe(page) {
    const full = page.next && this.lines.count >= this.linesMax;
    this.next = full ? null : page.next;
    this.bar.older.hidden = !this.next;
    this.bar.counted(`${compact(this.lines.count)} lines${page.next ? ", older ones exist" : ""}`);
    const ended = { time: "the time limit of a query was reached", memory: "the memory limit of a query was reached" }[page.ended];
    const refused = page.refused_namespaces?.length ? `not allowed: ${page.refused_namespaces.join(", ")}` : "";
    const left = full ? `a page keeps ${this.linesMax.toLocaleString("en")} lines: narrow the range for older ones, or download` : "";
    this.bar.say([ended, refused, left].filter(Boolean).join("; "));
  }

  tail() {
    this.lines.list.say(el("p", { class: "empty" }, "Waiting for lines…"));
    this.live = new LiveLines(this.lines.list, {
      linesMax: this.linesMax,
      says: (count, notice) => { this.bar.counted(count); this.bar.say(notice); },
      failure: (error) => this.fail(error),
    });
    this.live.start(filterParams(this.state));
  }

  pause() {
    if (!this.live) return;
    const paused = !this.live.paused;
    this.bar.showPause(paused);
    this.lines.list.holdEnd = !paused;
    if (paused) this.lines.list.sticky = false;
    this.live.pause(paused);
  }

  async drawHistogram() {
    const signal = this.controller.signal;
    try {
      const answer = await getJson("/api/v1/histogram", [...this.params(), ...(isZoomed(this.state) ? [] : [["end", "0s"]]), ["buckets", String(BUCKETS)]], { signal }); // up to now, not to the last line
      if (signal.aborted) return;
      this.searched ??= { start: answer.start, end: answer.end };
      this.histogram.show(answer.buckets.map((one) => ({ start: Date.parse(one.start), end: Date.parse(one.end), counts: one.by })), { zoomed: isZoomed(this.state) });
      const later = answer.buckets.some((one) => one.count && Date.parse(one.start) > this.searchedAt);
      this.bar.newer.hidden = this.state.live || Boolean(this.state.id) || !later;
    } catch (error) {
      if (!signal.aborted) this.histogram.fail(`no histogram: ${error.message}`);
    }
  }

  // What a row asks of the page.
  onFilter(field, value) {
    this.filters.set(field, value);
    this.apply();
  }

  async onFetch(gap) {
    try { await gap.fetch(); } catch (error) { this.bar.say(`not fetched: ${error.message}`); }
  }

  async onContext(item) {
    Object.assign(this.state, { live: false, id: item.id });
    await this.load({ step: true });
  }

  async context(id, signal) {
    const answer = await getJson("/api/v1/logs/context", [["id", id], ["before", "100"], ["after", "100"]], { signal });
    if (signal.aborted) return;
    this.lines.list.set(answer.lines);
    this.bar.counted(`${answer.lines.length} lines of the same file around the marked one`);
    this.lines.select(answer.lines.findIndex((line) => line.id === id), "center");
  }

  // A link shows the same lines later too, so it carries times and not how long ago.
  async link(change) {
    const query = toQuery({ ...this.state, ...this.searched, live: false, ...change });
    const url = `${location.origin}${location.pathname}#/logs?${query}`;
    this.bar.say((await copied(url)) ? "link copied" : `copy this link: ${url}`);
  }

  // Keys of the page; returns whether the key was used.
  key(event) {
    if (this.lines.key(event)) return true;
    const actions = {
      "/": () => this.filters.text.focus(), l: () => this.toggleLive(), " ": () => this.pause(), w: () => this.toggleWrap(),
      z: () => this.histogram.plot.focus(), 0: () => this.unzoom(),
    };
    actions[event.key]?.();
    return event.key in actions;
  }
}
