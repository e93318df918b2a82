// Where the models page gets its figures: the exporter when it is configured, else what the logs know.

import { getJson } from "./api.js";

const LOG_MODELS_MAX = 500;
const LOG_BARS = 30;

// Models as [{namespace, model, state, description, pods, notReady, predictors, now, points(name)}].
export async function loadModels(config, { namespace = "", signal } = {}) {
  if (!config.exporter) return modelsOfLogs(namespace, signal);
  const models = [];
  let after = "";
  do {
    const answer = await getJson("/exporter/api/v1/models", [["after", after], ["namespace", namespace], ["history", "true"]].filter(([, value]) => value), { signal });
    models.push(...answer.items.map((item) => modelOf(item, answer.times)));
    after = answer.next;
  } while (after);
  return models;
}

function modelOf(item, times) {
  return {
    ...item, notReady: Object.entries(item.pods_not_ready || {}),
    points: (name) => pointsOf(item.history, times, name),
  };
}

function pointsOf(history, times, name) {
  const values = history?.[name] || [];
  return values.map((value, index) => [times[index] * 1000, value]);
}

// Pods of one model (or all), each with `points(name)`.
export async function loadPods(config, { namespace, model, signal }) {
  if (!config.exporter) return [];
  const answer = await getJson("/exporter/api/v1/pods", [["namespace", namespace], ["model", model]], { signal });
  return answer.items.map((item) => ({ ...item, points: (name) => pointsOf(item.history, answer.times, name) }));
}

// Add up the pods' series point by point; a point that no pod knows stays unknown.
export function summed(pods, name) {
  const byTime = new Map();
  for (const pod of pods) {
    for (const [time, value] of pod.points(name)) {
      const known = byTime.get(time) ?? null;
      byTime.set(time, value === null ? known : (known ?? 0) + value);
    }
  }
  return [...byTime].sort(([a], [b]) => a - b);
}

async function modelsOfLogs(namespace, signal) {
  const filter = namespace ? [["namespace", namespace]] : [];
  const spaces = (await getJson("/api/v1/fields/namespace/values", [["since", "24h"], ...filter], { signal })).values;
  return (await Promise.all(spaces.map(({ value }) => modelsOfNamespace(value, signal)))).flat();
}

async function modelsOfNamespace(namespace, signal) {
  const [day, recent] = ["24h", "15m"].map((since) => [["namespace", namespace], ["since", since]]);
  const values = (params) => getJson("/api/v1/fields/model/values", [...day, ["limit", String(LOG_MODELS_MAX)], ...params], { signal });
  const [all, bad, bars] = await Promise.all([
    values([]), values([["level", "error"], ["level", "fatal"]]),
    getJson("/api/v1/histogram", [...recent, ["by", "model"], ["buckets", String(LOG_BARS)]], { signal }),
  ]);
  const errors = new Map(bad.values.map((one) => [one.value, one.lines]));
  return all.values.filter((one) => one.value).map((one) => ({
    namespace, model: one.value, lines: one.lines, errors: errors.get(one.value) ?? 0, now: {},
    points: () => bars.buckets.map((bar) => [Date.parse(bar.start), bar.by[one.value] ?? 0]),
  }));
}

// Why a model does not serve, from the platform; null when it is not configured or has nothing to say.
export async function loadWhy(config, { namespace, model, signal }) {
  if (!config.platform) return null;
  return getJson(`${platformModel(namespace, model)}/why`, [], { signal });
}

export function platformModel(namespace, model) {
  return `/platform/api/v1/models/${encodeURIComponent(namespace)}/${encodeURIComponent(model)}`;
}

const ROLLOUT_VERBS = ["rollout", "step", "promote", "rollback", "migrate", "apply", "create", "revert", "scale"];

// What was done to a model and what happened to it, as marks {time (ms), kind, text}, and how many older ones there are.
export async function loadEvents(config, { namespace, model, signal }) {
  if (!config.platform) return { marks: [], leftOut: 0 };
  const { events, left_out: leftOut } = await getJson(`${platformModel(namespace, model)}/events`, [], { signal });
  const marks = events.map((event) => ({ time: event.at * 1000, kind: kindOf(event), text: textOf(event) }));
  return { marks, leftOut };
}

function kindOf({ kind, what, severity }) {
  if (kind === "restart" || what === "restart") return "restart";
  if (severity !== "info") return severity === "error" || kind === "operation" ? "failure" : "warning";
  return ROLLOUT_VERBS.includes(what) ? "rollout" : "change";
}

function textOf({ kind, what, detail, author, pod, container }) {
  if (kind === "pod") return detail;
  const where = [pod, container].filter(Boolean).join("/");
  return [`${what}${author ? ` by ${author}` : ""}`, where, detail].filter(Boolean).join(": ");
}

// Restarts and starts of pods since the last look, at the time of this one: for a page without a platform. `seen` keeps
// the count of restarts of each pod.
export function restartEvents(seen, pods, now) {
  const first = !seen.size;
  const events = [];
  for (const pod of pods) {
    const before = seen.get(pod.pod);
    if (before === undefined && !first) events.push({ time: now, kind: "change", text: `${pod.pod} started` });
    else if (before !== undefined && pod.restarts > before) events.push({ time: now, kind: "restart", text: `${pod.pod} restarted: ${pod.last_termination}` });
    seen.set(pod.pod, pod.restarts);
  }
  return events;
}
