// How a model is told in a line: its state, version, replicas and figures, each as a cell of the table of models.

import { spark } from "./charts.js";
import { el } from "./dom.js";
import { bytes, compact, percent, seconds } from "./format.js";

const FINE = ["Available", "ready"];
const BROKEN = ["Failed", "failed"];
const DIGEST_SHOWN = 12;
const ERRORS_MANY = 0.05; // told in red, and the least top of a picture of errors

// In the order of what to look at first. bad: it does not serve; busy: not all of it does, or something is under way;
// unknown: nobody tells, as of pods without a SeldonDeployment.
const KINDS = ["bad", "busy", "unknown", "good"];

export function kindOf(one) {
  const states = [one.state, one.platform?.state].filter(Boolean);
  const [available, wanted] = one.predictors ? [sum(one.predictors, "replicas_available"), sum(one.predictors, "replicas_wanted")] : [one.platform?.available, one.platform?.replicas];
  if ((wanted > 0 && !available) || states.some((state) => BROKEN.includes(state))) return "bad";
  if (one.notReady?.length || !states.every((state) => FINE.includes(state))) return "busy";
  return states.length ? "good" : "unknown";
}

export function inTrouble(one) { return ["bad", "busy"].includes(kindOf(one)); }

function sum(predictors, name) { return predictors.reduce((total, one) => total + (one[name] ?? 0), 0); }

export function stateOf(one) {
  const reasons = (one.notReady || []).map(([reason, count]) => `${count} × ${reason}`).join(", ");
  const working = ["ready", "unready"].includes(one.platform?.state) ? "" : one.platform?.state; // Seldon does not know of it
  const state = [one.state, working].filter(Boolean).join(", ") || one.platform?.state || "unknown";
  return el("span", { class: `state ${kindOf(one)}`, title: one.description || null }, reasons ? `${state} (${reasons})` : state);
}

// The tags of the images that run (a digest's beginning where there is none), else the version that was asked for.
export function versionOf(one) {
  const tags = [...new Set((one.images || []).map(tagOf))];
  return tags.join(", ") || one.platform?.version || "";
}

function tagOf(image) {
  const [, tag, digest] = /^.*?(?::([^:/@]+))?(?:@sha256:([0-9a-f]+))?$/.exec(image);
  return tag || digest?.slice(0, DIGEST_SHOWN) || "latest";
}

const MODEL = {
  title: "Model", of: (one) => `${one.namespace}/${one.model}`,
  cell: (one) => el("th", { scope: "row", class: "model" }, el("a", { href: linkOf(one), "data-focus": `${one.namespace}/${one.model}` }, one.model), " ", el("span", { class: "muted" }, one.namespace)),
};
const STATE = {
  title: "State", of: (one) => KINDS.indexOf(kindOf(one)),
  cell: (one) => el("td", { class: "told" }, stateOf(one), ...beneath(one).map((text) => el("div", { class: "muted", title: text }, text))),
};
const VERSION = {
  title: "Version", of: versionOf,
  cell: (one) => el("td", { class: "version", title: (one.images || []).join("\n") || null }, versionOf(one) || "–", one.platform?.revision ? el("div", { class: "muted" }, `revision ${one.platform.revision}`) : null),
};
const REPLICAS = {
  title: "Replicas", of: (one) => replicasOf(one).length,
  cell: (one) => el("td", { class: "replicas" }, ...(replicasOf(one).length ? replicasOf(one) : ["–"]).map((text) => el("div", {}, text))),
};
const FIGURES = [
  figure("Requests/s", "requests_per_second", compact), figure("Errors", "error_ratio", percent, ERRORS_MANY),
  figure("p95", "p95_s", seconds), figure("CPU", "cpu_cores", compact), figure("Memory", "memory_bytes", bytes), figure("GPU cards", "gpu_cards", compact),
];
const PRINTED = [
  number("Lines in 24 h", (one) => one.lines), number("Errors in 24 h", (one) => one.errors),
  { title: "Last 15 minutes", of: (one) => one.lines, cell: (one) => el("td", {}, spark(one.points("lines"), `lines of ${one.model} in the last 15 minutes`)) },
];

// The columns {title, of(one): what is sorted by, cell(one), number} for what is configured.
export function columnsOf({ exporter, platform }) {
  if (exporter) return [MODEL, STATE, VERSION, REPLICAS, ...FIGURES];
  return platform ? [MODEL, STATE, VERSION, REPLICAS, ...PRINTED] : [MODEL, ...PRINTED];
}

export function linkOf(one) { return `#/models/${encodeURIComponent(one.namespace)}/${encodeURIComponent(one.model)}`; }

// Why it does not serve, the first reason first; what Seldon says where nobody knows better; where a rollout is.
function beneath(one) {
  const [first, ...others] = (one.findings || []).filter(({ severity }) => severity !== "note");
  const why = first ? `${first.found} · ${first.about}${others.length ? `, and ${others.length} more` : ""}` : inTrouble(one) ? one.description : "";
  return [why, one.platform?.rollout].filter(Boolean);
}

function replicasOf(one) {
  if (one.predictors?.length) return one.predictors.map((p) => `${p.name} ${p.replicas_available}/${p.replicas_wanted ?? "?"}`);
  return one.platform ? [`${one.platform.available}/${one.platform.replicas}`] : [];
}

function number(title, of) { return { title, number: true, of, cell: (one) => el("td", { class: "number" }, compact(of(one))) }; }

function figure(title, name, show, many) {
  const label = (one) => `${title} of ${one.model} in the last 15 minutes`;
  return {
    title, number: true, of: (one) => one.now[name],
    cell: (one) => el("td", { class: "number figure" }, el("div", {}, el("span", { class: one.now[name] > many && "state bad" }, show(one.now[name])), spark(one.points(name), label(one), { least: many }))),
  };
}
