// Where figures of models come from: the exporter when it is configured, else what the logs know.

import { getJson } from "./api.js";

const LOG_VALUES_MAX = 500; // namespaces, and models of one
const LOG_NAMESPACES_AT_ONCE = 8; // the server bounds how many queries wait
const LOG_BARS = 30;

// {models: [{namespace, model, state, description, pods, notReady, images, predictors, now, points(name)}], complete}.
export async function loadModels(config, { namespace = "", model = "", signal } = {}) {
  if (!config.exporter) return modelsOfLogs(namespace, signal);
  const answers = await everyPage("/exporter/api/v1/models", [["namespace", namespace], ["model", model]], signal);
  return { models: answers.flatMap(({ items, times }) => items.map((item) => modelOf(item, times))), complete: true };
}

function modelOf(item, times) {
  const points = (name) => (item.history?.[name] || []).map((value, index) => [times[index] * 1000, value]);
  return { ...item, notReady: Object.entries(item.pods_not_ready || {}), points };
}

// The pods of a model as they are now.
export async function loadPods(config, { namespace, model, signal }) {
  if (!config.exporter) return [];
  const answers = await everyPage("/exporter/api/v1/pods", [["namespace", namespace], ["model", model], ["history", "false"]], signal);
  return answers.flatMap(({ items }) => items);
}

async function everyPage(path, params, signal) {
  const answers = [];
  do {
    const after = answers.at(-1)?.next ?? "";
    answers.push(await getJson(path, [["after", after], ...params].filter(([, value]) => value), { signal }));
  } while (answers.at(-1).next);
  return answers;
}

async function modelsOfLogs(namespace, signal) {
  const filter = namespace ? [["namespace", namespace]] : [];
  const answer = await valuesOf("namespace", filter, signal);
  const models = [];
  let complete = answer.complete;
  for (let start = 0; start < answer.values.length; start += LOG_NAMESPACES_AT_ONCE) {
    const spaces = answer.values.slice(start, start + LOG_NAMESPACES_AT_ONCE);
    for (const found of await Promise.all(spaces.map(({ value }) => modelsOfNamespace(value, signal)))) {
      models.push(...found.models);
      complete &&= found.complete;
    }
  }
  return { models, complete };
}

async function modelsOfNamespace(namespace, signal) {
  const filter = [["namespace", namespace]];
  const [all, bad, bars] = await Promise.all([
    valuesOf("model", filter, signal), valuesOf("model", [...filter, ["level", "error"], ["level", "fatal"]], signal),
    getJson("/api/v1/histogram", [...filter, ["since", "15m"], ["by", "model"], ["buckets", String(LOG_BARS)]], { signal }),
  ]);
  const errors = new Map(bad.values.map((one) => [one.value, one.lines]));
  const models = all.values.filter((one) => one.value).map((one) => ({
    namespace, model: one.value, lines: one.lines, errors: errors.get(one.value) ?? 0, now: {},
    points: () => bars.buckets.map((bar) => [Date.parse(bar.start), bar.by[one.value] ?? 0]),
  }));
  return { models, complete: all.complete };
}

function valuesOf(field, filter, signal) {
  return getJson(`/api/v1/fields/${field}/values`, [["since", "24h"], ["limit", String(LOG_VALUES_MAX)], ...filter], { signal });
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
