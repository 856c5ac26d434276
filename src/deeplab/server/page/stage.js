/** The photo with its labels and marks over it: the before/after slider, what lies under the pointer, the brush. */

import { drawMarks } from "./marks.js";
import { paint } from "./paint.js";
import { rasterOf } from "./region.js";

const find = (id) => document.getElementById(id);
const stage = find("stage");
const photo = find("photo");
const before = find("before");
const after = find("after");
const marked = find("marks");
const split = find("split");
const cross = find("cross");
const tip = find("tip");
const brush = find("brush");
const reading = find("pointer-reading");

let raster = null; // the photo's pixels, once a fill wants them
let place = null; // under the pointer or the cross: shares of the photo's sides

/** Show a photo, without labels as yet; resolves once it is on the page. */
export async function showPhoto(blob, alt) {
  if (photo.src) URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(blob);
  photo.alt = alt;
  raster = null;
  for (const canvas of [before, after, marked]) clear(canvas);
  hideReading();
  await photo.decode();
  setSize(photo.naturalWidth, photo.naturalHeight);
}

/** Say for those who cannot see it what the photo holds. */
export function describePhoto(alt) {
  photo.alt = alt;
}

/** Give the stage the photo's proportions. */
export function setSize(width, height) {
  stage.style.setProperty("--ratio", String(width / height));
  for (const canvas of [before, after, marked]) {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  }
}

/** Return the photo's pixels, as `region.js` wants them. */
export function photoRaster() {
  return (raster ??= rasterOf(photo));
}

/** Paint the labels left and right of the slider; null leaves the photo bare. */
export function paintLabels(left, right, palette, view) {
  for (const [canvas, planes] of [[before, left], [after, right]]) {
    if (planes) paint(canvas, planes, palette, view);
    else clear(canvas);
  }
}

/** Draw the marks over all; see `drawMarks`. */
export function paintMarks(marks, info, colourOf) {
  drawMarks(marked, marks, info, colourOf);
}

/** Follow the slider between before and after. */
export function followSplit() {
  const show = () => {
    const value = Number(split.value);
    stage.style.setProperty("--split", `${value}%`);
    split.setAttribute("aria-valuetext", `${Math.round(value)} % before, ${100 - Math.round(value)} % after`);
  };
  split.addEventListener("input", show);
  show();
}

/** Return the pixel of the working copy at a place, and whether it is seen left of the slider. */
export function spotAt([x, y]) {
  const [column, row] = [inside(x, before.width), inside(y, before.height)];
  const [zoom, left] = ["--zoom", "--left"].map((name) => Number.parseFloat(stage.style.getPropertyValue(name)) || 0);
  const seenAt = left + (zoom || 1) * ((100 * (column + 0.5)) / before.width);
  return [row * before.width + column, seenAt < Number(split.value)];
}

/** Return the size of the working copy, in pixels. */
export function workingSize() {
  return [before.width, before.height];
}

/**
 * Show what lies at a place, and return it as words.
 * @param {number[]} at the place
 * @param {?{name: string, colour: string, confidence: string}} found
 * @param {boolean} byKey whether a cross is shown there, and read aloud
 */
export function showReading(at, found, byKey) {
  place = at;
  stage.style.setProperty("--x", `${100 * at[0]}%`);
  stage.style.setProperty("--y", `${100 * at[1]}%`);
  cross.hidden = !byKey;
  tip.hidden = !found;
  const words = found ? `${found.name}, ${found.confidence}` : "";
  if (byKey) reading.textContent = words;
  if (!found) return;
  const [swatch, name, confidence] = tip.children;
  swatch.style.backgroundColor = found.colour;
  name.textContent = found.name;
  confidence.textContent = found.confidence;
  const [seenX, seenY] = [tip.offsetLeft / stage.clientWidth, tip.offsetTop / stage.clientHeight];
  tip.classList.toggle("below", seenY < 0.25);
  tip.dataset.side = seenX < 0.25 ? "start" : seenX > 0.75 ? "end" : "middle";
}

/** Return the place that is read, or null. */
export function readPlace() {
  return place;
}

/** Show the brush's ring at a place; `width` is in shares of the photo's longer side, 0 for none. */
export function showBrush(at, { colour, width }) {
  brush.hidden = width === 0;
  stage.style.setProperty("--x", `${100 * at[0]}%`);
  stage.style.setProperty("--y", `${100 * at[1]}%`);
  stage.style.setProperty("--brush", `${(100 * width * Math.max(before.width, before.height)) / before.width}%`);
  brush.style.borderColor = colour;
}

export function hideReading() {
  place = null;
  tip.hidden = cross.hidden = brush.hidden = true;
}

function inside(share, size) {
  return Math.min(size - 1, Math.max(0, Math.floor(share * size)));
}

function clear(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}
