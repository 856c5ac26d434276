/** Label maps as colours over the photo. */

const WHITE = 0xffffff;
const VEIL = 0x141110; // blue, green, red: what lies over all that is not isolated

/**
 * Return how to draw each of 256 labels: `colours` as numbers of blue, green, red, and `plain`, 1 for background and
 * void, which keep the photo's own colours.
 * @param {{index: number, colour: string}[]} labels
 * @param {?number} background the label of the background, if there is one
 */
export function paletteOf(labels, background) {
  const colours = new Uint32Array(256);
  const plain = new Uint8Array(256).fill(1);
  for (const { index, colour } of labels) {
    const rgb = Number.parseInt(colour.slice(1), 16);
    colours[index] = ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16);
    plain[index] = index === background ? 1 : 0;
  }
  return { colours, plain };
}

/**
 * Paint a label map: a tint by class with a white contour inside each region, or, where one class is isolated, a veil
 * over all others.
 * @param {HTMLCanvasElement} canvas of the label map's size
 * @param {{labels: Uint8Array, confidence: Uint8Array}} planes
 * @param {object} palette as `paletteOf` gives it
 * @param {{opacity: number, faded: boolean, isolated: ?number}} view opacity is 0–1; faded: times the confidence
 */
export function paint(canvas, { labels, confidence }, { colours, plain }, { opacity, faded, isolated }) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer); // alpha, blue, green, red from the top byte down
  const reach = Math.max(1, Math.round(Math.max(width, height) / 800));
  const contour = ((Math.min(1, 2 * opacity) * 255) << 24) | WHITE;
  const veil = (((0.5 + opacity / 2) * 255) << 24) | VEIL;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const label = labels[i];
      if (isolated === null ? plain[label] : label !== isolated) {
        if (isolated !== null) pixels[i] = veil;
        continue;
      }
      const edge =
        (x >= reach && labels[i - reach] !== label) ||
        (x + reach < width && labels[i + reach] !== label) ||
        (y >= reach && labels[i - reach * width] !== label) ||
        (y + reach < height && labels[i + reach * width] !== label);
      if (edge) pixels[i] = contour;
      else if (isolated === null) pixels[i] = ((opacity * (faded ? confidence[i] : 255)) << 24) | colours[label];
    }
  }
  context.putImageData(image, 0, 0);
}
