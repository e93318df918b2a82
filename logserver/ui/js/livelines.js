// The live tail of a logs page: lines as they arrive, at most as many as a tab keeps, with a pause. What is missing is
// said, in its place among the lines: dropped by the server because this page was slow, or left out here.

import { follow, request } from "./api.js";
import { compact } from "./format.js";

const FIRST_LINES = "200";
const FETCHED_MAX = 20_000; // of dropped lines, at once; the server holds no more for a slow page by default

export class LiveLines {
  // `list` shows the lines; `says(count, notice)` shows how many and what is missing; `failure(error)` that it ended.
  constructor(list, { linesMax, says, failure }) {
    Object.assign(this, { list, linesMax, says, failure, connection: "connecting", paused: false, waiting: [], dropped: 0, leftOut: 0, past: "", refused: "" });
  }

  start(params) {
    this.params = params;
    this.stop = follow("/api/v1/logs/tail", [...params, ["lines", FIRST_LINES]], {
      event: (event) => this.take(event),
      state: (state) => { this.connection = state; this.describe(); },
      failure: this.failure,
    });
    this.describe();
  }

  take(event) {
    const told = JSON.parse(event.data);
    if (event.event === "message") this.add(told);
    else if (event.event === "partial") [this.past] = told.detail.split(";");
    else if (event.event === "dropped") this.lost(told);
    else if (event.event === "reset") this.add([{ gap: told.detail }]);
    else if (event.event === "access") this.access(told);
    this.describe();
  }

  // The server says from where to where it dropped lines, so they can still be had.
  lost({ dropped, from, to }) {
    this.dropped += dropped;
    const gap = { gap: `${dropped.toLocaleString("en")} lines dropped: this page was too slow for them.` };
    if (dropped <= FETCHED_MAX) gap.fetch = () => this.fetchLost(gap, { dropped, from, to });
    else gap.gap += " Search the time range to see them.";
    this.add([gap]);
  }

  async fetchLost(gap, { dropped, from, to }) {
    const answer = await request("/api/v1/logs/tail", [...this.params, ["cursor", from], ["until", to]], { accept: "application/x-ndjson" });
    const lines = (await answer.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line)).filter((line) => line.id);
    this.dropped -= dropped;
    this.list.replace(gap, lines);
    this.describe();
  }

  access({ refused_namespaces: refused = [], ended }) {
    if (ended) this.add([{ gap: ended }]);
    this.refused = refused.length ? `not allowed: ${refused.join(", ")}` : "";
  }

  add(lines) {
    if (this.paused) this.waiting.push(...lines); else this.list.append(lines);
    const surplus = this.list.items.length + this.waiting.length - this.linesMax;
    if (surplus <= 0) return;
    this.leftOut += surplus;
    if (this.paused) this.waiting.splice(0, surplus); else this.list.dropFirst(surplus);
  }

  pause(paused) {
    this.paused = paused;
    if (!paused) {
      const waiting = this.waiting;
      this.waiting = [];
      this.add(waiting);
    }
    this.describe();
  }

  describe() {
    const lost = this.dropped ? `${this.dropped.toLocaleString("en")} lines dropped` : "";
    const what = this.paused ? "that waited" : "older ones";
    const old = this.leftOut ? `${this.leftOut.toLocaleString("en")} ${what} left out: a page keeps ${this.linesMax.toLocaleString("en")} lines` : "";
    const waiting = this.paused ? `, ${compact(this.waiting.length)} waiting` : "";
    this.says(`${this.connection}: ${compact(this.list.items.length)} lines${waiting}`, [lost, old, this.past, this.refused].filter(Boolean).join("; "));
  }
}
