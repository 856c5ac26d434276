/** The project and its photos, as the page knows them; and how they come back where the engine has lost them. */

import * as engine from "./api.js";
import { newHistory } from "./marks.js";
import { fitted } from "./shrinking.js";

/**
 * The engine's project, and of each photo its `info`, the `file` that was sent, what was `made` of it before, and the
 * `history` of its marks, once it was opened, and the marks that the engine last had, `stored`. `open` is the one on the
 * stage, if any; it also has its `blob` and planes or null: of the `network` alone, the CRF's `result`, its `steps`
 * (promises by iteration, once asked for), and those `shown` on the right.
 */
export const album = { project: null, photos: [], open: null };

let restoring = null;

/** Take over what the engine says of the project; photos that are known stay the same objects. */
export function takeOver(project) {
  album.project = project;
  album.photos = project.photos.map((info) => Object.assign(known(info.id) ?? fresh(), { info }));
  return project;
}

/** Send a photo to the engine, into a new project if there is none; return it. */
export async function send(file, options) {
  if (!album.project) takeOver(await engine.create({}));
  const { file: fitting, made } = await fitted(file, await engine.fetchLimits(options.signal));
  const info = await engine.addPhoto(fitting, options);
  const photo = known(info.id) ?? fresh();
  if (!album.photos.includes(photo)) album.photos.push(photo);
  return Object.assign(photo, { info, file: fitting, made });
}

/** Get the photo's marks; its way back stays open where they are those that the page knows. */
export async function readMarks(photo) {
  const marks = (photo.stored = await engine.fetchMarks(photo.info.id));
  if (JSON.stringify(marks) !== JSON.stringify(photo.history?.now)) photo.history = newHistory(marks);
}

/** Have the engine keep the photo's marks, after a `merge` where another page was quicker; return what it lacks. */
export async function storeMarks(photo, merge) {
  const { marks, lacks } = await engine.putMarks(photo.info.id, () => photo.history.now, merge);
  photo.stored = marks;
  return lacks;
}

/** Do `work`; where the engine has lost the project, give it everything again first. */
export async function lasting(work) {
  try {
    return await work();
  } catch (error) {
    if (error.code !== "unknown_project" || !album.project) throw error;
    await (restoring ??= restore().finally(() => (restoring = null)));
    return work();
  }
}

/** Make the project anew from the files and marks in the page; photos whose files it has not, after a reload, are gone. */
async function restore() {
  const standing = await engine.resume().catch(() => null);
  if (standing) return takeOver(standing);
  const { use, model, classes, crf } = album.project;
  const project = await engine.create({ use, model, classes: classes.map(({ name, colour }) => ({ name, colour })) });
  await engine.changeProject({ crf });
  const kept = album.photos.filter(({ file }) => file);
  const { signal } = new AbortController();
  for (const photo of kept) photo.info = await engine.addPhoto(photo.file, { onProgress: () => {}, signal });
  for (const photo of kept) if (photo.history?.now.length) await storeMarks(photo, engine.fetchProject);
  album.photos = kept;
  return takeOver(kept.length ? await engine.fetchProject() : project);
}

function known(id) {
  return album.photos.find(({ info }) => info.id === id);
}

function fresh() {
  return { info: null, file: null, made: "", history: null, stored: [] };
}
