/** The open photo's labels: as its marks, the classes and the sliders stand. */

import { album, lasting } from "./album.js";
import * as engine from "./api.js";
import { newestOf } from "./newest.js";
import { parameterValues } from "./parameters.js";
import { percent, planesIn, shareChanged } from "./planes.js";
import { setIterations, showIteration } from "./player.js";
import { render, sharesInWords } from "./result.js";
import { tint } from "./strip.js";
import { announce } from "./telling.js";

const resultNewest = newestOf(planesOf);
const networkNewest = newestOf(planesOf);

let refining = null;

/**
 * Segment a photo, before and after the CRF.
 * @returns {Promise<{network: ?object, result: ?object}>} as of `planesOf`
 */
export async function segmented(photo, signal) {
  const [network, result] = await Promise.all([
    planesOf(photo, { crf: false }, signal),
    planesOf(photo, changedParameters(), signal),
  ]);
  return { network, result };
}

/** Segment the open photo anew, after a pause without a further call; calls that are overtaken come to nothing. */
export async function segmentAgain(pauseMs) {
  const photo = album.open;
  photo.steps = new Map();
  const mine = (refining = lasting(() => resultNewest(pauseMs, photo, changedParameters())));
  document.body.classList.add("refining");
  try {
    const planes = await mine;
    if (photo !== album.open) return;
    showResult(photo, planes);
    const network = await networkNewest(0, photo, { crf: false });
    if (photo !== album.open) return;
    photo.network = network;
    render();
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  } finally {
    if (refining === mine) document.body.classList.remove("refining");
  }
}

/** Show the labels after some iterations; return whether they are shown. */
export async function showStep(iteration) {
  const photo = album.open;
  const { steps } = photo;
  if (!photo.result) return false;
  if (!steps.has(iteration)) showIteration(iteration, "computing");
  const [before, planes] = await Promise.all([stepOf(photo, Math.max(0, iteration - 1)), stepOf(photo, iteration)]);
  if (photo !== album.open || photo.steps !== steps || !planes) return false;
  photo.shown = planes;
  const changed = `${percent(shareChanged(before.labels, planes.labels))} changed`;
  showIteration(iteration, iteration > 0 ? changed : "the network");
  render();
  return true;
}

/** Return a promise of the planes after some iterations; one that fails is asked for again. */
function stepOf(photo, iteration) {
  const { steps } = photo;
  if (!steps.has(iteration)) {
    const options = iteration ? { ...changedParameters(), iterations: iteration } : { crf: false };
    const asked = planesOf(photo, options);
    steps.set(iteration, asked);
    asked.catch(() => steps.delete(iteration));
  }
  return steps.get(iteration);
}

function showResult(photo, planes) {
  photo.result = photo.shown = planes;
  if (!planes) photo.network = null;
  setIterations(parameterValues().iterations);
  render();
  if (planes) tint(photo, planes, photo.palette);
  announce(planes ? `Refined: ${sharesInWords()}` : sharesInWords());
}

/** Return the planes of a photo; null where nothing is taught yet, as `lacks` then says. */
async function planesOf(photo, options, signal) {
  const { id, width, height } = photo.info;
  if (album.project.lacks) return null;
  try {
    return planesIn(await engine.segment(id, options, signal), width * height);
  } catch (error) {
    if (error.code !== "not_taught") throw error;
    album.project.lacks = error.message;
    return null;
  }
}

/** The sliders' values where they are not yet the project's own. */
function changedParameters() {
  const { crf } = album.project;
  return Object.fromEntries(Object.entries(parameterValues()).filter(([name, value]) => value !== crf[name]));
}
