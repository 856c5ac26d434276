/** Fill to the edge: what is connected to a pixel without a step in colour. */

const LONGEST_SIDE_PX = 512; // of the raster that is filled: quick, and its runs stay few
const STEP_SHARE = 0.6; // of the spread that two neighbours may differ by

/**
 * Return the raster that `regionFrom` fills: the picture's pixels, made smaller where it is large.
 * @param {HTMLImageElement} picture
 */
export function rasterOf(picture) {
  const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(picture.naturalWidth, picture.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(picture.naturalHeight * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/**
 * Return the pixels that are connected to a place, differ from its colour by at most `spread` levels and from their
 * neighbours by less, as runs: start, length, start, length, …, row by row.
 * @param {{data: Uint8ClampedArray, width: number, height: number}} raster RGBA
 * @param {number} x of the place, 0–1 of the width
 * @param {number} y of the place, 0–1 of the height
 * @param {number} spread in levels of 255, of the channel that differs most
 */
export function regionFrom({ data, width, height }, x, y, spread) {
  const [column, row] = [[x, width], [y, height]].map(([at, size]) => Math.min(size - 1, Math.floor(at * size)));
  const seed = row * width + column;
  const differ = (a, b) =>
    Math.max(
      Math.abs(data[4 * a] - data[4 * b]),
      Math.abs(data[4 * a + 1] - data[4 * b + 1]),
      Math.abs(data[4 * a + 2] - data[4 * b + 2]),
    );
  const inside = new Uint8Array(width * height);
  const open = [seed];
  inside[seed] = 1;
  while (open.length) {
    const at = open.pop();
    const atX = at % width;
    for (const next of [atX > 0 && at - 1, atX < width - 1 && at + 1, at - width, at + width]) {
      if (next === false || next < 0 || next >= inside.length || inside[next]) continue;
      if (differ(next, seed) > spread || differ(next, at) > STEP_SHARE * spread) continue;
      inside[next] = 1;
      open.push(next);
    }
  }
  return runsOf(inside, width);
}

function runsOf(inside, width) {
  const runs = [];
  for (let at = 0; at < inside.length; at++) {
    if (!inside[at]) continue;
    const end = (Math.floor(at / width) + 1) * width; // no run goes on in the next row
    const start = at;
    while (at < end && inside[at]) at++;
    runs.push(start, at - start);
    at--; // which the loop adds again
  }
  return runs;
}
