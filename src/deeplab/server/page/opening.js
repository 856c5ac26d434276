/** Photos come in and onto the stage. */

import { showResult } from "./all_photos.js";
import { album, lasting, readMarks, send, takeOver } from "./album.js";
import * as engine from "./api.js";
import { showClasses } from "./classes.js";
import { paletteOf } from "./paint.js";
import { parameterValues, setParameters } from "./parameters.js";
import { setIterations } from "./player.js";
import { isolate, sharesInWords, showHistory } from "./result.js";
import { offerModel } from "./saving.js";
import { segmented } from "./segmenting.js";
import { setSize, showPhoto } from "./stage.js";
import { showStrip, tint } from "./strip.js";
import { announce, setState, showProblem, showProgress, showTitle } from "./telling.js";
import { offerClasses } from "./tools.js";
import { fit } from "./zoom.js";

const OPEN = "photo"; // under this name the tab keeps the id of the open photo

const adding = document.getElementById("adding");
const waiting = []; // files
let intake = null; // while files are sent: an AbortController
let opening = new AbortController();

/** Send photos; the first is opened as soon as it is there. */
export async function add(files) {
  waiting.push(...files);
  if (intake) return; // they go with the others
  intake = new AbortController();
  const { signal } = intake;
  const before = album.open;
  const failures = [];
  let first = null;
  showProblem("");
  for (let count = 1; waiting.length && !signal.aborted; count++) {
    const file = waiting.shift();
    if (!first) showUploading(file);
    else adding.textContent = `Adding photo ${count} of ${count + waiting.length} …`;
    const onProgress = (share, words = "Uploading") => first || showProgress(words, share < 1 ? share : undefined);
    try {
      const photo = await lasting(() => send(file, { onProgress, signal }));
      if (!first) showProject();
      if (first) showPhotos();
      else {
        first = photo;
        open(photo, before);
      }
    } catch (error) {
      if (error.name !== "AbortError") failures.push(error);
      if (["AbortError", "unreachable", "project_full"].some((end) => end === error.name || end === error.code)) break;
    }
  }
  waiting.length = 0;
  intake = null;
  adding.textContent = "";
  if (!first) await goBack(before);
  if (failures.length) showProblem(`${failures.length > 1 ? `${failures.length} files were not opened. ` : ""}${failures[0].message}`);
}

/** Show a photo of the album; where that fails, stay with the one that was open `before`. */
export async function open(photo, before = album.open) {
  opening.abort();
  const mine = (opening = new AbortController());
  const { signal } = mine;
  album.open = null;
  setState("busy");
  showTitle(photo.info.name, "");
  showProgress("Opening");
  showPhotos(photo);
  try {
    const found = await lasting(() => look(photo, signal));
    await present(Object.assign(photo, found));
    if (before && before !== photo) leave(before);
  } catch (error) {
    if (opening !== mine) return; // another photo is on its way
    await goBack(before === photo ? null : before);
    if (error.name !== "AbortError") showProblem(error.message, remedyOf(error, photo));
  }
}

/** Go to the photo that many places on. */
export function step(places) {
  const next = album.photos[album.photos.indexOf(album.open) + places];
  if (album.open && next) open(next);
}

/** Take the open photo out of the project. */
export async function remove() {
  const at = album.photos.indexOf(album.open);
  takeOver(await lasting(() => engine.removePhoto(album.open.info.id)));
  album.open = null;
  if (album.photos.length) await open(album.photos[Math.min(at, album.photos.length - 1)]);
  else await goBack(null);
}

/** Give up what is on its way. */
export function giveUp() {
  intake?.abort();
  opening.abort();
}

/** Return the photo that was open before the page was loaded anew, or the first. */
export function lastOpened() {
  return album.photos.find(({ info }) => info.id === sessionStorage.getItem(OPEN)) ?? album.photos[0];
}

/** Show the project's classes, parameters and photos as they are now. */
export function showProject() {
  const { project } = album;
  if (!project.temporary) document.getElementById("motto").textContent = `Project ${project.name}`;
  showClasses(project);
  offerClasses(project.classes, project.background);
  offerModel(project.use === "teach");
  setParameters(project.own, project.limits, project.crf);
  if (album.open) album.open.palette = paletteOf(project.classes, project.background);
  showPhotos();
}

/** Show the strip of thumbnails. */
export function showPhotos(current = album.open) {
  showStrip(album.photos, current, open, thumbnailOf);
}

/** Put what is known of a photo on the stage. */
async function present(photo) {
  const { info, made, blob } = photo;
  album.open = photo;
  setSize(info.width, info.height);
  await showPhoto(blob, info.name);
  fit();
  const shownAt = info.width < info.full_width ? `, shown at ${info.width} × ${info.height}` : "";
  const size = `${info.full_width} × ${info.full_height} px${made && `, ${made}`}${shownAt}`;
  showTitle(info.name, [size, album.project.model, ...info.notes].join(" · "));
  setIterations(parameterValues().iterations);
  setState("open");
  sessionStorage.setItem(OPEN, info.id);
  isolate(null);
  showHistory();
  showPhotos();
  if (photo.result) tint(photo, photo.result, photo.palette);
  announce(`${info.name}: ${sharesInWords()}`);
}

async function look(photo, signal) {
  const [blob] = await Promise.all([engine.fetchPicture(photo.info.id, "photo.jpg", signal), readMarks(photo)]);
  setSize(photo.info.width, photo.info.height);
  await showPhoto(blob, photo.info.name);
  showProgress("Segmenting");
  const planes = await segmented(photo, signal);
  const { classes, background } = album.project;
  return { blob, palette: paletteOf(classes, background), ...planes, shown: planes.result, steps: new Map() };
}

function leave(photo) {
  Object.assign(photo, { blob: null, network: null, result: null, shown: null, steps: null }); // some MB
}

async function goBack(before) {
  announce("");
  if (before?.blob) return present(before);
  showTitle("", "");
  setState("empty");
}

function showUploading(file) {
  opening.abort();
  album.open = null;
  setState("busy");
  showTitle(file.name, "");
  showProgress("Uploading", 0);
  showPhoto(file, "").catch(() => {}); // the engine may read what this browser cannot
}

function thumbnailOf(photo) {
  if (photo.info.result !== "none") showResult(photo).catch(() => {}); // the bare picture does, too
  return engine.fetchPicture(photo.info.id, "thumbnail.jpg");
}

function remedyOf({ code }, photo) {
  if (code !== "photo_replaced") return null;
  const retake = async () => {
    takeOver(await engine.retakePhoto(photo.info.id));
    await open(photo);
  };
  return { name: "Take it as it is now", run: () => retake().catch((error) => showProblem(error.message)) };
}
