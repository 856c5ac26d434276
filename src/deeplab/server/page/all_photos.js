/** What is done with all photos of the project: segmented, exported. */

import { album, lasting, takeOver } from "./album.js";
import * as engine from "./api.js";
import { showPhotos } from "./opening.js";
import { planesIn } from "./planes.js";
import { paletteOf } from "./paint.js";
import { cutOutNames } from "./result.js";
import { tint } from "./strip.js";
import { announce } from "./telling.js";

const button = document.getElementById("segment-all");
const progress = document.getElementById("adding");

let stopping = null; // while photos are segmented: an AbortController

/** Follow the button that segments all photos, and stops that. */
export function followSegmentAll(doing) {
  button.addEventListener("click", () => (stopping ? stopping.abort() : doing(segmentAll)));
}

/** Make a file of all photos, once all are segmented. */
export async function makeExport(what) {
  if (what !== "project.zip" && what !== "model.onnx") await segmentAll();
  return engine.makeExport(what, what === "cutouts.zip" ? cutOutNames() : []);
}

/** Segment all photos that are not, or not as the marks stand now. */
async function segmentAll() {
  takeOver(await lasting(engine.fetchProject));
  const due = album.photos.filter(({ info }) => info.result !== "current");
  const { signal } = (stopping = new AbortController());
  button.textContent = "Stop";
  try {
    for (const [place, photo] of due.entries()) {
      progress.textContent = `Segmenting photo ${place + 1} of ${due.length} …`;
      await engine.makeResult(photo.info.id);
      photo.info.result = "current";
      await showResult(photo);
      signal.throwIfAborted();
    }
    announce(`All ${album.photos.length} photos are segmented.`);
  } finally {
    stopping = null;
    button.textContent = "Segment all";
    progress.textContent = "";
    showPhotos();
  }
}

/** Show on a photo's thumbnail what was kept of it. */
export async function showResult(photo) {
  const { id, width, height } = photo.info;
  const { classes, background } = album.project;
  const planes = planesIn(await engine.fetchResult(id), width * height);
  tint(photo, planes, paletteOf(classes, background));
}
