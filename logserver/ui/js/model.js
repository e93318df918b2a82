// One model: why it does not serve, its rollout, and its figures over its logs on one time axis.

import { Strip } from "./charts.js";
import { el, failure } from "./dom.js";
import { bytes, compact, percent, seconds } from "./format.js";
import { LogsPage } from "./logs.js";
import { Marks } from "./marks.js";
import { stateOf, versionOf } from "./modelcells.js";
import { loadEvents, loadWhy } from "./platform.js";
import { RolloutPanel } from "./rollout.js";
import { loadModels, loadPods, restartEvents } from "./sources.js";

const REFRESH_MS = 15_000;
const RESTARTS_KEPT = 100;

// [title, how it is shown, the exporter's series: the figure itself and what is drawn faintly beside it]
const FIGURES = [
  ["Requests/s", compact, ["requests_per_second"]],
  ["Errors", percent, ["error_ratio"]],
  ["p95 latency", seconds, ["p95_s", "p50_s"]],
  ["CPU cores", compact, ["cpu_cores"]],
  ["Memory", bytes, ["memory_bytes"]],
  ["GPU cards used", compact, ["gpu_cards"]],
];

export class ModelPage {
  constructor(root, { namespace, model, query, config }) {
    Object.assign(this, { namespace, model, config, seen: new Map(), restarts: [] });
    this.state = el("span");
    this.why = el("div");
    this.said = el("div");
    this.rollout = config.platform ? new RolloutPanel({ namespace, model, changed: () => this.load() }) : null;
    const below = el("div", { class: "split" });
    const above = el("div", { class: "above" }, el("h1", { title: `${namespace}/${model}` }, el("span", { class: "name" }, model), el("span", { class: "muted" }, namespace), this.state), this.why, this.rollout?.element, this.said);
    root.replaceChildren(el("div", { class: "split" }, above, below));
    const base = `#/models/${encodeURIComponent(namespace)}/${encodeURIComponent(model)}`;
    this.logs = new LogsPage(below, query, { linesMax: config.lines_max, fixed: { namespace, model }, base, charts: (axis) => this.charts(axis) });
    this.load();
    this.timer = setInterval(() => document.hidden || this.load(), REFRESH_MS);
  }

  close() {
    clearInterval(this.timer);
    this.controller?.abort();
    this.rollout?.close();
    this.logs.close();
  }

  key(event) { return this.logs.key(event); }

  charts(axis) {
    this.marks = new Marks(axis);
    this.strips = this.config.exporter ? FIGURES.map(([title, show]) => new Strip(axis, title, show)) : [];
    if (!this.config.exporter && !this.config.platform) return null;
    return el("div", { class: "panels" }, this.marks.element, ...this.strips.map((strip) => strip.element));
  }

  // Each neighbour may fail alone: what the others say is shown all the same.
  async load() {
    this.controller?.abort();
    this.controller = new AbortController();
    const { signal } = this.controller;
    const asked = { namespace: this.namespace, model: this.model, signal };
    const answers = await Promise.allSettled([this.figures(asked), loadEvents(this.config, asked), loadWhy(this.config, asked), this.rollout?.load(signal)]);
    if (signal.aborted) return;
    const [, events, why] = answers;
    this.marks?.set([...(events.value?.marks || []), ...this.restarts], events.value?.leftOut);
    this.explain(why.value?.findings || []);
    const failed = answers.filter(({ status, reason }) => status === "rejected" && reason.status !== 404 && reason.status !== 401);
    const told = new Set(failed.map(({ reason }) => reason.message));
    const note = !this.config.exporter && el("p", { class: "muted" }, "Figures come from the exporter, which is not configured (ui.exporter_url).");
    this.said.replaceChildren(...[note, ...[...told].map((message) => failure({ message }))].filter(Boolean));
  }

  async figures(asked) {
    if (!this.config.exporter) return;
    const [{ models: [one] }, pods] = await Promise.all([loadModels(this.config, asked), this.config.platform ? [] : loadPods(this.config, asked)]);
    this.state.replaceChildren(...(one ? [stateOf(one), " ", el("span", { class: "muted", title: (one.images || []).join("\n") }, versionOf(one) && `version ${versionOf(one)}`)] : [el("span", { class: "muted" }, "not in the cluster")]));
    this.restarts = [...this.restarts, ...restartEvents(this.seen, pods, Date.now())].slice(-RESTARTS_KEPT);
    this.strips.forEach((strip, index) => strip.set(FIGURES[index][2].map((name) => ({ points: one?.points(name) ?? [] }))));
  }

  // Findings are {rule, about, found, todo, pod, container, severity}; a pod's lines are one press away.
  explain(findings) {
    this.why.replaceChildren(...findings.map(({ about, found, todo, pod, severity }) => el("div", { class: `why ${severity}` },
      el("strong", {}, `${about}: ${found}`), el("div", {}, todo, " ", pod && el("button", { type: "button", onclick: () => this.logs.onFilter("pod", pod) }, "Its lines")))));
  }
}
