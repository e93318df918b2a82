// Where figures of models come from: the exporter when it is configured, else what the logs know.

import { getJson } from "./api.js";

const LOG_MODELS_MAX = 500;
const LOG_BARS = 30;

// Models as [{namespace, model, state, description, pods, notReady, images, predictors, now, points(name)}].
export async function loadModels(config, { namespace = "", model = "", signal } = {}) {
  if (!config.exporter) return modelsOfLogs(namespace, signal);
  const answers = await everyPage("/exporter/api/v1/models", [["namespace", namespace], ["model", model]], signal);
  return answers.flatMap(({ items, times }) => items.map((item) => modelOf(item, times)));
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
