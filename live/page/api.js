/**
 * The engine that does the page's work: here this tab, in a worker. What is exported is as the server's api.js says;
 * marks, other classes and exports are for a server alone. The project is gone with the tab.
 */

import { MODEL as model } from "./engine/model.js";
import { Refusal } from "./engine/refusal.js";
import { ask } from "./working.js";

export { Refusal };

const THUMBNAIL_SIDE_PX = 160;
const ENDINGS = { "mask.png": ".png", "overlay.jpg": "_overlay.jpg", "cutout.png": "_cutout.png" };

const ALONE = {
  ...{ id: "tab", version: 0, name: "", temporary: true, expires_in_s: null, use: "correct", lacks: null },
  ...{ pending: 0, skipped: [] },
};

let project = null;
const results = new Map(); // by photo: its kept result

export async function fetchLimits() {
  return { max_pixels: model.max_pixels, max_upload_bytes: Infinity };
}

export async function fetchClasses() {
  return model.labels;
}

export async function resume() {
  return project;
}

export async function create() {
  const classes = model.labels.map((label) => ({ ...label, photos: 0 }));
  const { limits, parameters: crf, background } = model;
  const known = { model: model.name, models: [model.name], classes, background, known: classes.length };
  const settings = { own: crf, crf, limits };
  return (project = { ...ALONE, ...known, ...settings, photos: [] });
}

export async function fetchProject() {
  return project;
}

export async function changeProject({ crf }) {
  if (!crf) return refused();
  const photos = project.photos.map((photo) => ({ ...photo, result: photo.result === "current" ? "old" : photo.result }));
  return (project = { ...project, crf: { ...project.crf, ...crf }, photos });
}

export async function addPhoto(file, { onProgress, signal }) {
  const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const sizes = await ask("open", [id, file], { onProgress, signal });
  const photo = { id, name: file.name, ...sizes, marks: 0, classes: [], result: "none", problem: null, notes: [] };
  project.photos.push(photo);
  return photo;
}

export async function removePhoto(id) {
  ask("forget", [id]).catch(() => {});
  results.delete(id);
  return (project = { ...project, photos: project.photos.filter((photo) => photo.id !== id) });
}

export function fetchPicture(id, what, signal) {
  return ask("picture", [id, what === "thumbnail.jpg" ? THUMBNAIL_SIDE_PX : model.working_side_px], { signal });
}

export async function fetchMarks() {
  return [];
}

export async function segment(id, { crf = true, ...parameters }, signal) {
  return ask("segment", [id, crf ? { ...project.crf, ...parameters } : null], { signal });
}

export async function makeResult(id) {
  results.set(id, await segment(id, {}));
  project.photos.find((photo) => photo.id === id).result = "current";
}

export async function fetchResult(id) {
  return results.get(id);
}

export async function makeFile(id, what, classes) {
  const wanted = classes.map((name) => model.labels.find((label) => label.name === name).index);
  const { blob, name } = await ask("draw", [id, what, project.crf, wanted]);
  return { blob, name: `${name.replace(/\.[^.]*$/, "") || "photo"}${ENDINGS[what]}` };
}

async function refused() {
  throw new Refusal("This page works without a server, and cannot do that; `deeplab serve` can.", "unsupported");
}

export { refused as makeExport, refused as putMarks, refused as retakePhoto };
