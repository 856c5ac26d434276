/** How large the photo is seen, and which part of it: `zoom`, and where its upper left corner lies on the stage. */

const MOST = 16;
const stage = document.getElementById("stage");
const level = document.getElementById("zoom-level");

let zoom = 1;
let corner = [0, 0]; // in shares of the stage, 0 or less

/** Tell whether only a part of the photo is seen. */
export function isZoomed() {
  return zoom > 1;
}

/** Return the place in the photo under a place on the screen; shares of its sides, outside 0–1 beside it. */
export function placeAt(clientX, clientY) {
  return onStage(clientX, clientY).map((share, axis) => (share - corner[axis]) / zoom);
}

/** See the photo `factor` times as large; what lies under a place on the screen, or in the middle, stays there. */
export function zoomBy(factor, clientX, clientY) {
  const fixed = clientX === undefined ? [0.5, 0.5] : onStage(clientX, clientY);
  const next = Math.min(MOST, Math.max(1, zoom * factor));
  moveTo(next, fixed.map((share, axis) => share - ((share - corner[axis]) * next) / zoom));
}

/** Move the photo on the stage, by pixels of the screen. */
export function panBy(x, y) {
  const box = stage.getBoundingClientRect();
  moveTo(zoom, [corner[0] + x / box.width, corner[1] + y / box.height]);
}

/** Move the photo so far that a place in it, in shares of its sides, is seen. */
export function reveal(place) {
  moveTo(zoom, place.map((share, axis) => {
    const seen = corner[axis] + zoom * share;
    return corner[axis] + Math.min(0.95, Math.max(0.05, seen)) - seen;
  }));
}

/** See the whole photo. */
export function fit() {
  moveTo(1, [0, 0]);
}

function onStage(clientX, clientY) {
  const box = stage.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
}

function moveTo(next, to) {
  zoom = next;
  corner = to.map((share) => Math.min(0, Math.max(1 - zoom, share)));
  stage.style.setProperty("--zoom", String(zoom));
  stage.style.setProperty("--left", `${100 * corner[0]}%`);
  stage.style.setProperty("--top", `${100 * corner[1]}%`);
  stage.classList.toggle("zoomed", zoom > 1);
  level.textContent = `${Math.round(100 * zoom)} %`;
}

document.getElementById("zoom-in").addEventListener("click", () => zoomBy(1.5));
document.getElementById("zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
level.addEventListener("click", fit);
