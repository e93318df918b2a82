// Every model: state, replicas, traffic, errors, latency, CPU, memory, GPU. Sorted and filtered on the page.

import { spark } from "./charts.js";
import { el, failure } from "./dom.js";
import { bytes, compact, percent, seconds } from "./format.js";
import { loadModels, loadPods } from "./sources.js";

const REFRESH_MS = 15_000;
const GOOD = "Available";

const number = (show) => (value) => el("td", { class: "number" }, show(value));
const COLUMNS = [
  { title: "Model", of: (one) => `${one.namespace}/${one.model}`, cell: (_, one) => el("td", {}, el("a", { href: `#/models/${encodeURIComponent(one.namespace)}/${encodeURIComponent(one.model)}` }, one.model), " ", el("span", { class: "muted" }, one.namespace)) },
  { title: "State", of: (one) => one.state || "", cell: (state, one) => el("td", {}, stateOf(one)) },
  { title: "Predictors", of: (one) => one.predictors?.length, cell: (_, one) => el("td", {}, (one.predictors || []).map((p) => `${p.name} ${p.replicas_available}/${p.replicas_wanted ?? "?"}`).join(", ") || "–") },
  { title: "Requests/s", number: true, of: (one) => one.now.requests_per_second, cell: number(compact) },
  { title: "Traffic", of: (one) => one.now.requests_per_second, cell: (_, one) => el("td", {}, spark(one.points("requests_per_second"), `requests of ${one.model} in the last 15 minutes`)) },
  { title: "Errors", number: true, of: (one) => one.now.error_ratio, cell: number(percent) },
  { title: "p95", number: true, of: (one) => one.now.p95_s, cell: number(seconds) },
  { title: "CPU", number: true, of: (one) => one.use?.cpu_cores, cell: number(compact) },
  { title: "Memory", number: true, of: (one) => one.use?.memory_bytes, cell: number(bytes) },
  { title: "GPU cards", number: true, of: (one) => one.use?.gpu_cards, cell: number(compact) },
];
const LOG_COLUMNS = [
  COLUMNS[0],
  { title: "Lines in 24 h", number: true, of: (one) => one.lines, cell: number(compact) },
  { title: "Errors in 24 h", number: true, of: (one) => one.errors, cell: number(compact) },
  { title: "Last 15 minutes", of: (one) => one.lines, cell: (_, one) => el("td", {}, spark(one.points("lines"), `lines of ${one.model} in the last 15 minutes`)) },
];

export function stateOf(one) {
  const kind = one.state === GOOD ? "good" : one.state === "Failed" ? "bad" : "busy";
  const reasons = (one.notReady || []).map(([reason, count]) => `${count} × ${reason}`).join(", ");
  return el("span", { class: `state ${kind}`, title: one.description || reasons }, one.state || "unknown", reasons && kind !== "good" ? ` (${reasons})` : "");
}

export class ModelsPage {
  constructor(root, config) {
    this.config = config;
    this.sort = { column: 0, down: false };
    this.columns = config.exporter ? COLUMNS : LOG_COLUMNS;
    this.search = el("input", { type: "search", placeholder: "Filter models…  ( / )", "aria-label": "Filter models", oninput: () => this.draw() });
    this.table = el("table", { class: config.exporter ? "" : "narrow" });
    this.said = el("p", { class: "muted", role: "status" }, "loading…");
    root.replaceChildren(el("div", { class: "page" }, el("h1", {}, "Models", this.search), this.said, this.table));
    this.models = [];
    this.load();
    this.timer = setInterval(() => this.load(), REFRESH_MS);
  }

  close() { clearInterval(this.timer); this.controller?.abort(); }

  async load() {
    this.controller?.abort();
    this.controller = new AbortController();
    const signal = this.controller.signal;
    try {
      const [models, pods] = await Promise.all([loadModels(this.config, { signal }), loadPods(this.config, { namespace: "", model: "", signal })]);
      this.models = withUse(models, pods);
      this.said.textContent = this.config.exporter ? "" : "State, traffic and use come from the exporter, which is not configured (ui.exporter_url): these are the models that have printed lines.";
      this.draw();
    } catch (error) {
      if (error.name !== "AbortError") this.said.replaceChildren(failure(error));
    }
  }

  draw() {
    const wanted = this.search.value.toLowerCase();
    const { column, down } = this.sort;
    const shown = this.models.filter((one) => `${one.namespace}/${one.model}`.toLowerCase().includes(wanted));
    const key = this.columns[column].of;
    shown.sort((a, b) => compare(key(a), key(b)) * (down ? -1 : 1));
    const heads = this.columns.map((one, index) => el("th", { scope: "col", class: one.number && "number", "aria-sort": index === column ? (down ? "descending" : "ascending") : "none" },
      el("button", { type: "button", onclick: () => { this.sort = { column: index, down: index === column ? !down : index > 1 }; this.draw(); } }, one.title)));
    const rows = shown.map((one) => el("tr", {}, ...this.columns.map((head) => head.cell(head.of(one), one))));
    this.table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
    if (!shown.length) this.table.append(el("caption", {}, wanted ? "No model has this name." : "No model yet."));
  }

  key(event) {
    if (event.key !== "/") return false;
    this.search.focus();
    return true;
  }
}

function compare(a, b) {
  if (a === undefined || a === null) return b === undefined || b === null ? 0 : -1;
  if (b === undefined || b === null) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function withUse(models, pods) {
  const use = new Map();
  for (const pod of pods) {
    const key = `${pod.namespace}/${pod.model}`;
    const sum = use.get(key) || {};
    for (const name of ["cpu_cores", "memory_bytes", "gpu_cards"]) {
      const value = pod.now?.[name];
      if (value !== null && value !== undefined) sum[name] = (sum[name] || 0) + value;
    }
    use.set(key, sum);
  }
  return models.map((one) => ({ ...one, use: use.get(`${one.namespace}/${one.model}`) }));
}
