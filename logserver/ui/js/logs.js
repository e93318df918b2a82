// The logs page: filters, lines over time, the lines themselves or their live tail. All of what is shown is in the URL.

import { getJson, hasToken, request } from "./api.js";
import { Axis } from "./axis.js";
import { copied } from "./clipboard.js";
import { el, failure } from "./dom.js";
import { FilterBar } from "./filterbar.js";
import { compact, hitExpression } from "./format.js";
import { Histogram } from "./histogram.js";
import { LiveLines } from "./livelines.js";
import { rowOf } from "./row.js";
import { filterParams, fromQuery, isZoomed, timeParams, toQuery } from "./state.js";
import { VirtualList } from "./virtual.js";

const PAGE_LINES = 500;
const BUCKETS = 120;
const HISTOGRAM_MS = { live: 5_000, still: 15_000 };
const OLDER_PX = 200;
const DOWNLOAD_KEPT_MS = 60_000;

export class LogsPage {
  // `fixed` are filters that belong to the page (a model's namespace and name) and are not shown; `charts(axis)` returns
  // what is to be drawn above the histogram on the same axis.
  constructor(root, query, { linesMax, fixed = {}, base = "#/logs", charts } = {}) {
    this.state = { ...fromQuery(query), ...fixed };
    Object.assign(this, { linesMax, fixed, base, open: new Set(), selected: -1, next: null });
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
    this.filters = new FilterBar(this.state, { hidden: Object.keys(this.fixed), apply: () => this.apply(), live: () => this.toggleLive() });
    const chart = el("div", { class: "histogram" });
    this.histogram = new Histogram(chart, this.axis);
    this.count = el("span", { "aria-live": "polite" });
    this.notice = el("span", { class: "notice", role: "status" });
    this.pauseButton = el("button", { type: "button", hidden: true, onclick: () => this.pause() }, "Pause");
    this.older = el("button", { type: "button", hidden: true, onclick: () => this.loadOlder() }, "Older lines");
    this.newer = el("button", { type: "button", hidden: true, class: "newer", onclick: () => this.load() }, "New lines");
    this.wrapButton = el("button", { type: "button", title: "Wrap long lines (w)", "aria-pressed": String(this.state.wrap), onclick: () => this.toggleWrap() }, "Wrap");
    this.downloadLink = el("a", { class: "download", download: "milepost.ndjson", onclick: (event) => this.download(event) }, "Download");
    const bar = el("div", { class: "bar" }, this.count, this.notice, el("span", { class: "grow" }), this.newer, this.older, this.pauseButton, this.wrapButton,
      el("button", { type: "button", title: "A link to what is shown", onclick: () => this.link({ id: "" }) }, "Copy link"), this.downloadLink);
    this.view = el("div", { class: `lines${this.state.wrap ? " wrap" : ""}`, role: "grid", tabindex: "0", "aria-label": "Log lines" });
    const title = base === "#/logs" && el("h1", { class: "unseen" }, "Logs");
    root.replaceChildren(...[title, this.filters.form, charts, chart, bar, this.view].filter(Boolean));
    this.list = new VirtualList(this.view, (item) => rowOf(item, this));
    this.view.addEventListener("scroll", () => { if (this.view.scrollTop < OLDER_PX) this.loadOlder(); }, { passive: true });
  }

  toggleLive() {
    this.state.live = !this.state.live;
    this.apply();
  }

  toggleWrap() {
    this.state.wrap = !this.state.wrap;
    this.wrapButton.setAttribute("aria-pressed", String(this.state.wrap));
    this.view.classList.toggle("wrap", this.state.wrap);
    this.list.forgetHeights();
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
    Object.assign(this, { next: null, selected: -1, searched: null, searchedAt: Date.now(), hits: hitExpression(this.state), withDay: !["5m", "15m", "1h"].includes(this.state.since) || isZoomed(this.state) });
    this.open.clear();
    this.say("");
    this.filters.show();
    this.downloadLink.href = `/api/v1/export?${new URLSearchParams(this.params())}`;
    this.pauseButton.hidden = !this.state.live;
    this.pauseButton.textContent = "Pause";
    this.older.hidden = this.newer.hidden = true;
    this.list.holdEnd = this.state.live;
    this.list.sticky = true;
    this.drawHistogram();
    const moves = this.state.live || !isZoomed(this.state);
    if (moves) this.redrawing = setInterval(() => document.hidden || this.drawHistogram(), HISTOGRAM_MS[this.state.live ? "live" : "still"]);
    return this.state.live ? this.tail() : this.search();
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
      setTimeout(() => URL.revokeObjectURL(url), DOWNLOAD_KEPT_MS);
      this.say("");
    } catch (error) {
      this.say(`not downloaded: ${error.message}`);
    }
  }

  async search() {
    const signal = this.controller.signal;
    this.count.textContent = "searching…";
    try {
      if (this.state.id) { await this.context(this.state.id, signal); return; }
      const page = await this.page([], signal);
      if (signal.aborted) return;
      this.list.set(page.lines.reverse());
      this.describe(page);
      if (!this.list.items.length) this.list.say(el("p", { class: "empty" }, "No line in this range has all of these. A longer range or fewer filters may."));
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  page(more, signal) {
    return getJson("/api/v1/logs", [...this.params(), ["limit", String(PAGE_LINES)], ["direction", "backward"], ...more], { signal });
  }

  fail(error) {
    this.list.set([]);
    this.count.textContent = "";
    this.list.say(failure(error));
  }

  async loadOlder() {
    const cursor = this.next;
    if (!cursor) return;
    this.next = null; // one page at a time
    const signal = this.controller.signal;
    try {
      const page = await this.page([["cursor", cursor]], signal);
      if (signal.aborted) return;
      this.list.sticky = false;
      if (this.selected >= 0) this.selected += page.lines.length;
      this.list.prepend(page.lines.reverse());
      this.describe(page);
    } catch (error) {
      if (signal.aborted) return;
      this.next = cursor;
      this.say(`no older lines: ${error.message}`);
    }
  }

  // How many lines there are, and honestly what is not among them.
  describe(page) {
    const full = page.next && this.list.items.length >= this.linesMax;
    this.next = full ? null : page.next;
    this.older.hidden = !this.next;
    this.count.textContent = `${compact(this.list.items.length)} lines${page.next ? ", older ones exist" : ""}`;
    const ended = { time: "the time limit of a query was reached", memory: "the memory limit of a query was reached" }[page.ended];
    const refused = page.refused_namespaces?.length ? `not allowed: ${page.refused_namespaces.join(", ")}` : "";
    const left = full ? `a page keeps ${this.linesMax.toLocaleString("en")} lines: narrow the range for older ones, or download` : "";
    this.say([ended, refused, left].filter(Boolean).join("; "));
  }

  say(words) { this.notice.textContent = words; }

  tail() {
    this.list.set([]);
    this.live = new LiveLines(this.list, {
      linesMax: this.linesMax,
      says: (count, notice) => { this.count.textContent = count; this.say(notice); },
      failure: (error) => this.fail(error),
      dropFirst: (count) => { this.list.dropFirst(count); this.selected = Math.max(-1, this.selected - count); },
    });
    this.live.start(filterParams(this.state));
  }

  pause() {
    if (!this.live) return;
    const paused = !this.live.paused;
    this.pauseButton.textContent = paused ? "Go on" : "Pause";
    this.list.holdEnd = !paused;
    if (paused) this.list.sticky = false;
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
      this.newer.hidden = this.state.live || Boolean(this.state.id) || !later;
    } catch (error) {
      if (!signal.aborted) this.histogram.fail(`no histogram: ${error.message}`);
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
    this.filters.set(field, value);
    this.apply();
  }

  async onFetch(gap) {
    try { await gap.fetch(); } catch (error) { this.say(`not fetched: ${error.message}`); }
  }

  async onContext(item) {
    Object.assign(this.state, { live: false, id: item.id });
    await this.load({ step: true });
  }

  async context(id, signal) {
    const answer = await getJson("/api/v1/logs/context", [["id", id], ["before", "100"], ["after", "100"]], { signal });
    if (signal.aborted) return;
    this.list.sticky = false;
    this.list.set(answer.lines);
    this.count.textContent = `${answer.lines.length} lines of the same file around the marked one`;
    this.select(answer.lines.findIndex((line) => line.id === id));
    this.list.scrollTo(this.selected, "center");
  }

  onLink(item) { this.link({ id: item.id }); }

  async onCopy(text) { this.say((await copied(text)) ? "copied" : "this browser does not let the page copy"); }

  // A link shows the same lines later too, so it carries times and not how long ago.
  async link(change) {
    const query = toQuery({ ...this.state, ...this.searched, live: false, ...change });
    const url = `${location.origin}${location.pathname}#/logs?${query}`;
    this.say((await copied(url)) ? "link copied" : `copy this link: ${url}`);
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
    const chosen = this.list.items[this.selected];
    const actions = {
      "/": () => this.filters.text.focus(), l: () => this.toggleLive(), " ": () => this.pause(), w: () => this.toggleWrap(),
      j: () => this.select(this.selected + 1), k: () => this.select(this.selected - 1), g: () => { this.list.sticky = false; this.select(0); }, G: () => { this.select(last); this.list.sticky = this.list.holdsEnd; },
      Enter: () => chosen?.id && this.onOpen(chosen), c: () => chosen?.id && this.onContext(chosen), z: () => this.histogram.plot.focus(), 0: () => this.unzoom(),
    };
    if (!actions[event.key]) return false;
    actions[event.key]();
    return true;
  }
}
