/** The tools that mark a photo: which one is taken, for which class, how wide, and the mark that a press makes. */

import { regionFrom } from "./region.js";

const SIZES = { least: 0.002, most: 0.15, usual: 0.022 }; // of brush and eraser, in shares of the photo's longer side
const STEPS = 100; // of the slider
const SPREADS = { least: 4, most: 90, usual: 28 }; // of a fill, in levels of 255
const KEYS = { v: "look", b: "brush", e: "eraser", r: "box", f: "fill" };
const HINTS = {
  look: "Point at the photo: what is there? Click a class to see it alone.",
  brush: "Brush over a part of the thing; its edges are found.",
  eraser: "Takes marks away, not the classes under them.",
  box: "Drag a box around the whole thing.",
  fill: "Click a patch of one colour.",
};

const find = (id) => document.getElementById(id);
const work = find("work");
const select = find("label");
const swatch = find("label-swatch");
const slider = find("size");
const sized = find("size-shown");

const place = { size: positionOf(SIZES, SIZES.usual), spread: positionOf(SPREADS, SPREADS.usual) };
let classes = [];

/**
 * Follow the tool bar and its keys.
 * @param {() => void} onChange hears of another tool, class or size
 */
export function followTools(onChange) {
  const changed = () => {
    show();
    onChange();
  };
  for (const radio of document.getElementsByName("tool")) radio.addEventListener("change", changed);
  select.addEventListener("change", changed);
  slider.addEventListener("input", () => {
    place[usesSpread() ? "spread" : "size"] = Number(slider.value);
    changed();
  });
  work.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("select")) return;
    if (event.key in KEYS) takeTool(KEYS[event.key]);
    else if (event.key === "[" || event.key === "]") {
      const which = usesSpread() ? "spread" : "size";
      place[which] = Math.min(STEPS, Math.max(0, place[which] + (event.key === "]" ? 5 : -5)));
    } else return;
    changed();
  });
  show();
}

/** Return the tool that is taken. */
export function tool() {
  return document.querySelector("input[name=tool]:checked").value;
}

export function takeTool(name) {
  if (find("tools").disabled) return; // an engine that takes no marks
  document.querySelector(`input[name=tool][value=${name}]`).checked = true;
  show();
}

/** Offer these classes to mark with; the one that was chosen stays so, by its name. */
export function offerClasses(offered, background) {
  const was = classes[select.selectedIndex]?.name;
  classes = offered;
  select.replaceChildren(...classes.map(({ index, name }) => new Option(name, index)));
  const again = classes.findIndex(({ name }) => name === was);
  const first = classes.findIndex(({ index }) => index !== background);
  select.selectedIndex = again >= 0 ? again : Math.max(0, first);
  show();
}

/** Choose the class to mark with. */
export function chooseLabel(label) {
  select.value = String(label);
  show();
}

/** Return the brush's colour and its width in shares of the photo's longer side; 0 for tools that have none. */
export function brush() {
  const round = tool() === "brush" || tool() === "eraser";
  return { colour: tool() === "eraser" ? "#fff" : (classes[select.selectedIndex]?.colour ?? "#fff"), width: round ? size() : 0 };
}

/**
 * Return the mark that a press makes, or null where it makes none.
 * @param {number[][]} trail places in shares of the photo's sides
 * @param {{full_width: number, full_height: number}} photo
 * @param {() => ImageData} rasterOf gives the photo's pixels, which a fill goes by
 */
export function markOf(trail, { full_width, full_height }, rasterOf) {
  const inside = ([x, y]) => [rounded(x, full_width), rounded(y, full_height)];
  const label = Number(select.value);
  const makes = {
    brush: () => stroke(label, trail.map(inside), Math.max(full_width, full_height)),
    eraser: () => stroke(null, trail.map(inside), Math.max(full_width, full_height)),
    box: () => boxed(label, inside(trail[0]), inside(trail.at(-1))),
    fill: () => filled(label, trail.at(-1), rasterOf()),
  };
  return makes[tool()]();
}

function stroke(label, points, side) {
  const width_px = Math.max(1, Math.round(10 * size() * side) / 10);
  const kept = [points[0]];
  for (const point of points) {
    const [x, y] = kept.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) > width_px / 8) kept.push(point);
  }
  return { kind: "stroke", label, points: kept, width_px };
}

function boxed(label, [x0, y0], [x1, y1]) {
  const box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
  return box[2] - box[0] >= 2 && box[3] - box[1] >= 2 ? { kind: "box", label, box } : null;
}

function filled(label, [x, y], raster) {
  if (x < 0 || y < 0 || x >= 1 || y >= 1) return null;
  const runs = regionFrom(raster, x, y, valueAt(SPREADS, place.spread));
  return { kind: "region", label, size: [raster.width, raster.height], runs };
}

function rounded(share, full) {
  return Math.round(10 * full * Math.min(1, Math.max(0, share))) / 10;
}

function show() {
  const now = tool();
  work.dataset.tool = now;
  find("tool-hint").textContent = HINTS[now];
  swatch.style.backgroundColor = classes[select.selectedIndex]?.colour ?? "transparent";
  slider.value = usesSpread() ? place.spread : place.size;
  find("size-name").textContent = usesSpread() ? "Spread" : "Size";
  sized.textContent = usesSpread() ? `${Math.round(valueAt(SPREADS, place.spread))} levels` : `${(100 * size()).toFixed(1)} %`;
  slider.setAttribute("aria-valuetext", usesSpread() ? sized.textContent : `${sized.textContent} of the photo's side`);
}

function usesSpread() {
  return tool() === "fill";
}

function size() {
  return valueAt(SIZES, place.size);
}

function valueAt({ least, most }, position) {
  return least * (most / least) ** (position / STEPS);
}

function positionOf({ least, most }, value) {
  return Math.round((STEPS * Math.log(value / least)) / Math.log(most / least));
}
