/** Large photos in overlapping tiles, so that memory does not grow with them; as deeplab.crf.tiles cuts them. */

/**
 * Cut a photo of more than `side` squared pixels into tiles of at most that side, whose kept parts cover it.
 * @param {number} reach pixels of margin that each tile sees around what is kept of it, or a fifth of the side
 * @returns {{seen: Window, kept: Window}[]} windows of the photo, as {top, bottom, left, right} in pixels
 */
export function tilesOf(height, width, side, reach) {
  const whole = { top: 0, bottom: height, left: 0, right: width };
  if (side && height * width > side ** 2) {
    const columns = cut(width, side, Math.ceil(reach));
    const tiles = cut(height, side, Math.ceil(reach)).flatMap((row) => columns.map((column) => tileOf(row, column)));
    if (2 * Math.max(...tiles.map(({ seen }) => pixelsOf(seen))) <= height * width) return tiles;
  }
  return [{ seen: whole, kept: whole }];
}

/** Return how many pixels a window has. */
export function pixelsOf(window) {
  return (window.bottom - window.top) * (window.right - window.left);
}

function tileOf(row, column) {
  const window = (part) => ({ top: row[part][0], bottom: row[part][1], left: column[part][0], right: column[part][1] });
  return { seen: window("seen"), kept: window("kept") };
}

/** Cut a length into equal parts: what is seen, and what is kept. */
function cut(length, side, reach) {
  const least = Math.min(reach, Math.floor(side / 5));
  let parts = 1;
  let margin = length <= side ? reach : -1; // one part needs none
  while (margin < least) {
    parts += 1;
    margin = Math.floor((side - Math.ceil(length / parts)) / Math.min(parts - 1, 2)); // the ends have one margin
  }
  margin = Math.min(margin, reach);
  return Array.from({ length: parts }, (_, part) => {
    const [start, stop] = [part, part + 1].map((bound) => Math.floor((length * bound) / parts));
    return { seen: [Math.max(0, start - margin), Math.min(length, stop + margin)], kept: [start, stop] };
  });
}
