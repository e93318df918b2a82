// Everything this page asks of a server: JSON answers, and live answers as server-sent events.
//
// Events are read with fetch and not with EventSource, which cannot send a bearer token. The `id` of an event is the
// cursor after it, so a broken answer is resumed exactly behind the last whole event.

const TOKEN_KEY = "milepost-token";
const RETRY_MS_MAX = 10_000;

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

function headers(accept) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token ? { Accept: accept, Authorization: `Bearer ${token}` } : { Accept: accept };
}

export function setToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}

export function hasToken() { return Boolean(sessionStorage.getItem(TOKEN_KEY)); }

export async function request(path, params = [], { signal, accept = "application/json", method = "GET", body } = {}) {
  const query = new URLSearchParams(params).toString();
  const sent = { ...headers(accept), ...(body ? { "Content-Type": "application/json" } : {}) };
  const response = await fetch(query ? `${path}?${query}` : path, { headers: sent, signal, method, body });
  if (!response.ok) {
    let problem = {};
    try { problem = await response.json(); } catch { /* not JSON: the status says it */ }
    const error = new ApiError(response.status, problem);
    if (response.status === 401) document.dispatchEvent(new CustomEvent("sign-in", { detail: error.message }));
    throw error;
  }
  return response;
}

export async function getJson(path, params, options) {
  return (await request(path, params, options)).json();
}

// Split a stream of text into events {id, event, data}; `feed` returns the events that are complete.
export function eventParser() {
  let rest = "";
  return (text) => {
    rest += text;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    return blocks.map((block) => {
      const event = { id: null, event: "message", data: "" };
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon <= 0) continue;
        const value = line.slice(colon + 1).replace(/^ /, "");
        if (line.startsWith("data:")) event.data += (event.data ? "\n" : "") + value;
        else if (line.startsWith("id:")) event.id = value;
        else if (line.startsWith("event:")) event.event = value;
      }
      return event;
    }).filter((event) => event.data || event.id);
  };
}

// Follow an endless answer. `on.event(event)` for each one, `on.state(text)` when the connection changes.
export function follow(path, params, on) {
  const controller = new AbortController();
  (async () => {
    let cursor = "";
    let pause = 300;
    while (!controller.signal.aborted) {
      try {
        const resumed = cursor ? [...params.filter(([name]) => name !== "lines"), ["cursor", cursor]] : params;
        const response = await request(path, resumed, { signal: controller.signal, accept: "text/event-stream" });
        on.state("live");
        const parse = eventParser();
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          for (const event of parse(value)) {
            if (event.id) cursor = event.id;
            if (event.data) on.event(event); // a sign of life has a cursor alone
          }
          pause = 300;
        }
      } catch (error) {
        if (controller.signal.aborted) return;
        if (error instanceof ApiError && error.status < 500) { on.failure(error); return; }
      }
      on.state("reconnecting");
      await new Promise((wake) => setTimeout(wake, pause));
      pause = Math.min(pause * 2, RETRY_MS_MAX);
    }
  })();
  return () => controller.abort();
}
