/** The photo with its labels over it: the before/after slider, and what lies under the pointer. */

import { paint } from "./paint.js";

const find = (id) => document.getElementById(id);
const stage = find("stage");
const photo = find("photo");
const before = find("before");
const after = find("after");
const split = find("split");
const pointer = find("pointer");
const cross = find("cross");
const tip = find("tip");
const reading = find("pointer-reading");

let place = null; // the pixel under the pointer or the cross, [x, y]

/** Show a photo, without labels as yet; resolves once it is on the page. */
export async function showPhoto(blob, alt) {
  if (photo.src) URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(blob);
  photo.alt = alt;
  clear(before);
  clear(after);
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
  for (const canvas of [before, after]) {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  }
}

/** Paint the labels left and right of the slider; null leaves the photo bare. */
export function paintLabels(left, right, palette, view) {
  if (left) paint(before, left, palette, view);
  else clear(before);
  paint(after, right, palette, view);
}

/**
 * Follow slider, pointer and keys.
 * @param {(index: number, left: boolean) => ?{name: string, colour: string, confidence: string}} readAt names the class
 *     at a pixel, left or right of the slider
 * @param {(index: number, left: boolean) => void} onPick hears which pixel was clicked or chosen by Enter
 */
export function followPointer(readAt, onPick) {
  split.addEventListener("input", showSplit);
  showSplit();

  const move = (event) => {
    const box = pointer.getBoundingClientRect();
    place = inside([
      ((event.clientX - box.left) / box.width) * before.width,
      ((event.clientY - box.top) / box.height) * before.height,
    ]);
    cross.hidden = true;
    read(readAt);
  };
  pointer.addEventListener("pointermove", move);
  pointer.addEventListener("pointerdown", move); // a tap does not move
  pointer.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hideReading());
  pointer.addEventListener("blur", hideReading);
  pointer.addEventListener("click", (event) => {
    if (event.pointerType === "mouse") pick(onPick);
  });
  pointer.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(before.width, before.height) / 40));
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key === "Enter") return pick(onPick);
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [x, y] = place ?? [before.width / 2, before.height / 2];
    place = inside([x + moves[event.key][0], y + moves[event.key][1]]);
    cross.hidden = false;
    reading.textContent = read(readAt);
  });
}

/** Read again what lies under the pointer, after the labels have changed. */
export function readAgain(readAt) {
  if (!tip.hidden) read(readAt);
}

function showSplit() {
  const value = Number(split.value);
  stage.style.setProperty("--split", `${value}%`);
  split.setAttribute("aria-valuetext", `${Math.round(value)} % before, ${100 - Math.round(value)} % after`);
}

/** Show the class at `place` and return it as words. */
function read(readAt) {
  const [x, y] = place;
  const found = readAt(...spot());
  if (!found) {
    hideReading();
    return "";
  }
  const [swatch, name, confidence] = tip.children;
  swatch.style.backgroundColor = found.colour;
  name.textContent = found.name;
  confidence.textContent = found.confidence;
  tip.hidden = false;
  stage.style.setProperty("--x", `${(100 * (x + 0.5)) / before.width}%`);
  stage.style.setProperty("--y", `${(100 * (y + 0.5)) / before.height}%`);
  tip.classList.toggle("below", y < before.height / 4);
  tip.dataset.side = x < before.width / 4 ? "start" : x > (3 * before.width) / 4 ? "end" : "middle";
  return `${found.name}, ${found.confidence}`;
}

function pick(onPick) {
  if (place) onPick(...spot());
}

function spot() {
  const [x, y] = place;
  return [y * before.width + x, (x + 0.5) / before.width < Number(split.value) / 100];
}

function inside([x, y]) {
  const within = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));
  return [within(x, before.width), within(y, before.height)];
}

function hideReading() {
  place = null;
  tip.hidden = cross.hidden = true;
}

function clear(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}
