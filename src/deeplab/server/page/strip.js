/** The strip of thumbnails, in the colours of what was found. */

import { paint } from "./paint.js";

const SIDE_PX = 160;
const COLOURS = { opacity: 0.6, faded: false, isolated: null };

const strip = document.getElementById("strip");
const album = document.getElementById("album");
const tiles = new Map(); // by photo: its item in the list
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    target.load();
  }
});

/**
 * Show the photos.
 * @param {object[]} photos as the album has them
 * @param {object} current the one on the stage, or null
 * @param {(photo: object) => void} onChoose
 * @param {(photo: object) => Promise<?Blob>} pictureOf gives a photo's thumbnail, once it is looked at
 */
export function showStrip(photos, current, onChoose, pictureOf) {
  album.hidden = photos.length < 2;
  for (const [photo, tile] of tiles) {
    if (photos.includes(photo)) continue;
    tile.remove();
    tiles.delete(photo);
  }
  photos.forEach((photo, place) => {
    if (!tiles.has(photo)) tiles.set(photo, emptyTile(photo, onChoose, pictureOf));
    const tile = tiles.get(photo);
    if (strip.children[place] !== tile) strip.insertBefore(tile, strip.children[place] ?? null);
    const { name, marks, result, problem } = photo.info;
    const states = [marks && `${marks} ${marks === 1 ? "mark" : "marks"}`, result === "current" && "segmented", problem];
    const button = tile.firstChild;
    button.title = name;
    button.setAttribute("aria-label", [name, ...states.filter(Boolean)].join(", "));
    tile.classList.toggle("marked", marks > 0);
    tile.classList.toggle("bad", Boolean(problem));
    if (photo === current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  const at = photos.indexOf(current);
  document.getElementById("previous").disabled = at <= 0;
  document.getElementById("next").disabled = at < 0 || at === photos.length - 1;
  if (at >= 0 && !album.hidden) bringIntoView(strip.children[at]);
}

/** Lay labels over a photo's thumbnail; they are of its working copy. */
export function tint(photo, planes, palette) {
  const tile = tiles.get(photo);
  if (!tile) return;
  const layer = document.createElement("canvas");
  Object.assign(layer, { width: photo.info.width, height: photo.info.height });
  paint(layer, planes, palette, COLOURS);
  tile.layer = layer;
  draw(tile);
}

/** Take all labels off the thumbnails. */
export function untint() {
  for (const tile of tiles.values()) {
    tile.layer = null;
    draw(tile);
  }
}

function emptyTile(photo, onChoose, pictureOf) {
  const tile = document.createElement("li");
  const button = tile.appendChild(document.createElement("button"));
  button.type = "button";
  button.addEventListener("click", () => onChoose(photo));
  const canvas = button.appendChild(document.createElement("canvas"));
  const scale = SIDE_PX / Math.max(photo.info.width, photo.info.height);
  canvas.width = Math.max(1, Math.round(photo.info.width * scale));
  canvas.height = Math.max(1, Math.round(photo.info.height * scale));
  tile.load = async () => {
    try {
      tile.picture = await createImageBitmap(await pictureOf(photo));
      draw(tile);
    } catch {
      tile.classList.add("bad"); // and says its name all the same
    }
  };
  seen.observe(tile);
  return tile;
}

function draw(tile) {
  const canvas = tile.querySelector("canvas");
  const context = canvas.getContext("2d");
  for (const layer of [tile.picture, tile.layer]) if (layer) context.drawImage(layer, 0, 0, canvas.width, canvas.height);
}

/** Scroll the strip, and nothing else. */
function bringIntoView(tile) {
  const [outer, inner] = [strip.getBoundingClientRect(), tile.getBoundingClientRect()];
  if (inner.left < outer.left) strip.scrollLeft += inner.left - outer.left - 8;
  if (inner.right > outer.right) strip.scrollLeft += inner.right - outer.right + 8;
}
