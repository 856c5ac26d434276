/** The server's HTTP API, as this page uses it. What is thrown is a `Refusal`, or an AbortError by the signal. */

import { askForToken } from "./token.js";

const BASE = new URL("../api/v1/", import.meta.url);

let token = sessionStorage.getItem("token") ?? "";

/** Why the server did not do it; the message is meant to be shown. */
export class Refusal extends Error {}

/** Return how large a photo the server takes: `max_pixels`, `max_upload_bytes`. */
export async function fetchLimits(signal) {
  return (await call("limits", { signal })).json();
}

/**
 * Send a photo; `onProgress` hears the share sent, 0–1.
 * @returns {Promise<object>} what the server says about it: id, name, width, height, full_width, full_height, model,
 *     labels, background, parameters, limits
 */
export async function sendPhoto(file, { onProgress, signal }) {
  const form = new FormData();
  form.append("photo", file);
  const answer = await withToken((headers) => upload("photos", form, headers, onProgress, signal));
  if (answer.status !== 201) throw new Refusal(messageIn(answer.responseText, answer.status));
  return JSON.parse(answer.responseText);
}

/** Return the photo itself, as the server keeps it: a Blob. */
export async function fetchPhoto(id, signal) {
  return (await call(`photos/${encodeURIComponent(id)}/photo.jpg`, { signal })).blob();
}

/** Return the network's labels and confidences: an ArrayBuffer of 2·H·W bytes. */
export async function fetchNetwork(id, signal) {
  return (await call(`photos/${encodeURIComponent(id)}/network`, { signal })).arrayBuffer();
}

/** Run the CRF; return labels and confidences after it, or with `every_iteration` from before the first one on. */
export async function refine(id, parameters, signal) {
  const body = JSON.stringify(parameters);
  return (await call(`photos/${encodeURIComponent(id)}/refine`, { method: "POST", body, signal })).arrayBuffer();
}

/**
 * Make a file of the photo's own size.
 * @param {string} what `mask.png`, `overlay.jpg` or `cutout.png`
 * @param {object} parameters of the CRF, by name
 * @param {string[]} classes the names of those that it shall hold; [] for all
 * @returns {Promise<{blob: Blob, name: string}>}
 */
export async function fetchResult(id, what, parameters, classes) {
  const query = new URLSearchParams([...Object.entries(parameters), ...classes.map((name) => ["class", name])]);
  const response = await call(`photos/${encodeURIComponent(id)}/${what}?${query}`);
  const [, name] = response.headers.get("Content-Disposition").split("filename*=UTF-8''");
  return { blob: await response.blob(), name: decodeURIComponent(name) };
}

/** Let the server forget a photo; nobody waits for the answer, and without one the photo expires. */
export function forget(id) {
  call(`photos/${encodeURIComponent(id)}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

async function call(path, options = {}) {
  const response = await withToken((headers) => {
    if (options.body) headers["Content-Type"] = "application/json";
    return fetch(new URL(path, BASE), { ...options, headers }).catch((error) => {
      throw error.name === "AbortError" ? error : new Refusal("The server does not answer. Is it still running?");
    });
  });
  if (!response.ok) throw new Refusal(messageIn(await response.text(), response.status));
  return response;
}

async function withToken(send) {
  for (;;) {
    const answer = await send(token ? { Authorization: `Bearer ${token}` } : {});
    if (answer.status !== 401) return answer;
    const given = await askForToken(token !== "");
    if (given === null) throw new Refusal("This server works only with its token.");
    token = given;
    sessionStorage.setItem("token", token);
  }
}

/** Post a form; unlike fetch, XMLHttpRequest tells how far it is. */
function upload(path, form, headers, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const broken = "The connection broke off: the server has stopped, or takes no file of this size.";
    request.open("POST", new URL(path, BASE));
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded / event.total));
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Refusal(broken)));
    request.addEventListener("abort", () => reject(signal.reason));
    signal.addEventListener("abort", () => request.abort());
    signal.throwIfAborted();
    request.send(form);
  });
}

function messageIn(text, status) {
  try {
    return String(JSON.parse(text).error.message);
  } catch {
    return `The server answered with an error (${status}).`;
  }
}
