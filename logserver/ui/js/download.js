// Save an answer as a file. A plain link carries no token, so with one the answer is fetched first and held in memory.

import { request } from "./api.js";
import { el } from "./dom.js";

const KEPT_MS = 60_000;

export async function save(name, path, params, options) {
  const answer = await request(path, params, options);
  const url = URL.createObjectURL(await answer.blob());
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
