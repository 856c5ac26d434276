/**
 * The engine that does the page's work: here a server, by its HTTP API (docs/http-api.md has the objects' fields).
 *
 * The page calls what is exported below and nothing else; another engine exports the same. There is one project at a
 * time; all that changes it is done one after the other. What is thrown is a `Refusal`, whose message is meant to be
 * shown and whose `code` is the API's, or an AbortError by the signal.
 *
 *     fetchLimits(signal)              → {max_pixels, max_upload_bytes} of a photo
 *     resume()                         → the Project to go on with, or null
 *     fetchClasses(model)              → {name, colour}[] that a model knows
 *     create(wishes)                   → a Project: {use, model, classes}, all optional
 *     fetchProject()                   → the Project as it is now; what others changed in it is taken note of
 *     changeProject(changes)           → the Project after a change of use, model, crf or classes
 *     addPhoto(file, {onProgress, signal}) → a ProjectPhoto; onProgress hears the share done, 0–1,
 *                                      and words for it where they are not "Uploading"
 *     removePhoto(id), retakePhoto(id) → the Project
 *     fetchPicture(id, "photo.jpg" | "thumbnail.jpg", signal) → Blob, upright
 *     fetchMarks(id)                   → Mark[]
 *     putMarks(id, marksNow, merge)    → {marks, lacks}: what `marksNow` returned when its turn came, and why nothing can be
 *                                      segmented yet, in words, or null; where another page was quicker, `merge` is
 *                                      awaited before anything else is changed, and `marksNow` asked again
 *     segment(id, {...parameters, crf}, signal) → ArrayBuffer of 2·H·W bytes: labels, confidence
 *     makeResult(id), fetchResult(id, signal) → the kept result made anew; its ArrayBuffer of 2·H·W bytes
 *     makeFile(id, "mask.png" | "overlay.jpg" | "cutout.png", classes) → {blob, name}
 *     makeExport("masks.zip" | "coco.json" | …, classes) → {blob, name}
 *
 * `Refusal.code` "unknown_project" means that the engine has lost the project, "changed_elsewhere" that another page was
 * quicker and nothing was changed, "unreachable" that it does not answer.
 */

import { askForToken } from "./token.js";

const BASE = new URL("../api/v1/", import.meta.url);
const KEPT = "project"; // under this name the tab keeps the id of a temporary project

let token = sessionStorage.getItem("token") ?? "";
let id = sessionStorage.getItem(KEPT);
let version = 0;
let asking = null; // for the token: one question for all that wait
let changing = Promise.resolve(); // the changes under way, one after the other

/** Why it was not done. */
export class Refusal extends Error {
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

export async function fetchLimits(signal) {
  return (await call("limits", { signal })).json();
}

export async function fetchClasses(model) {
  const { models } = await (await call("models")).json();
  return models.find(({ name }) => name === model).labels;
}

export async function resume() {
  const { projects } = await (await call("projects")).json();
  if (projects.length) return known(projects[0]);
  if (!id) return null;
  try {
    return await fetchProject();
  } catch (error) {
    if (error.code === "unknown_project") sessionStorage.removeItem(KEPT);
    throw error;
  }
}

export async function create(wishes) {
  return known(await (await call("projects", sending("POST", wishes))).json());
}

export async function fetchProject() {
  return known(await (await call(`projects/${id}`)).json());
}

export function changeProject(changes) {
  return changed(async () => known(await (await call(`projects/${id}`, sending("PATCH", { ...changes, version }))).json()));
}

export async function addPhoto(file, { onProgress, signal }) {
  const form = new FormData();
  form.append("photo", file);
  const answer = await withToken((headers) => upload(`projects/${id}/photos`, form, headers, onProgress, signal));
  if (answer.status >= 300) throw refusalIn(answer.responseText, answer.status);
  return JSON.parse(answer.responseText);
}

export function removePhoto(photo) {
  const path = () => `${at(photo)}?version=${version}`;
  return changed(async () => known(await (await call(path(), { method: "DELETE" })).json()));
}

export function retakePhoto(photo) {
  return changed(async () => known(await (await call(`${at(photo)}/retake`, sending("POST", { version }))).json()));
}

export async function fetchPicture(photo, what, signal) {
  return (await call(`${at(photo)}/${what}`, { signal })).blob();
}

export async function fetchMarks(photo) {
  const answer = await (await call(`${at(photo)}/marks`)).json();
  version = Math.max(version, answer.version);
  return answer.marks;
}

export function putMarks(photo, marksNow, merge) {
  return changed(async () => {
    for (;;) {
      const marks = marksNow();
      try {
        const answer = await (await call(`${at(photo)}/marks`, sending("PUT", { version, marks }))).json();
        version = answer.version;
        return { marks, lacks: answer.lacks };
      } catch (error) {
        if (error.code !== "changed_elsewhere") throw error;
        await merge();
      }
    }
  });
}

export async function segment(photo, options, signal) {
  return (await call(`${at(photo)}/segment`, { ...sending("POST", options), signal })).arrayBuffer();
}

export async function makeResult(photo) {
  await call(`${at(photo)}/result`, { method: "POST" });
}

export async function fetchResult(photo, signal) {
  return (await call(`${at(photo)}/result`, { signal })).arrayBuffer();
}

export function makeFile(photo, what, classes) {
  return fetchFile(`${at(photo)}/${what}`, classes);
}

export function makeExport(file, classes) {
  return fetchFile(`projects/${id}/exports/${file}`, classes);
}

async function fetchFile(path, classes) {
  await changing;
  const query = new URLSearchParams(classes.map((name) => ["class", name]));
  const response = await call(`${path}?${query}`);
  const [, name] = response.headers.get("Content-Disposition").split("filename*=UTF-8''");
  return { blob: await response.blob(), name: decodeURIComponent(name) };
}

/** Take note of what an answer says of the project. */
function known(project) {
  ({ id, version } = project);
  if (project.temporary) sessionStorage.setItem(KEPT, id);
  return project;
}

function at(photo) {
  return `projects/${id}/photos/${encodeURIComponent(photo)}`;
}

/** Do a change after those under way, whatever became of them. */
function changed(change) {
  const done = changing.then(change);
  changing = done.catch(() => {});
  return done;
}

function sending(method, content) {
  return { method, body: JSON.stringify(content) };
}

async function call(path, options = {}) {
  const response = await withToken((headers) => {
    if (options.body) headers["Content-Type"] = "application/json";
    return fetch(new URL(path, BASE), { ...options, headers }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Refusal("The server does not answer. Is it still running?", "unreachable");
    });
  });
  if (!response.ok) throw refusalIn(await response.text(), response.status);
  return response;
}

async function withToken(send) {
  for (;;) {
    const answer = await send(token ? { Authorization: `Bearer ${token}` } : {});
    if (answer.status !== 401) return answer;
    const given = await (asking ??= askForToken(token !== "").finally(() => (asking = null)));
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
    request.addEventListener("error", () => reject(new Refusal(broken, "unreachable")));
    request.addEventListener("abort", () => reject(signal.reason));
    signal.addEventListener("abort", () => request.abort());
    signal.throwIfAborted();
    request.send(form);
  });
}

function refusalIn(text, status) {
  try {
    const { message, code } = JSON.parse(text).error;
    return new Refusal(String(message), String(code));
  } catch {
    return new Refusal(`The server answered with an error (${status}).`);
  }
}
