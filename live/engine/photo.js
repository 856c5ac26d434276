/** A photo's file, decoded in the tab: upright, its transparent parts on white, no colour profile applied. */

import { Refusal } from "./refusal.js";

const JPEG_QUALITY = 0.92;

/** Return a photo as {data, width, height}, RGBA of which all is opaque. */
export async function decoded(file) {
  const as = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, as).catch((error) => {
    if (error.name === "RangeError") throw error;
    throw new Refusal(
      `${file.name} cannot be read by this browser; save it as JPEG, PNG or WebP, and open that.`,
      "invalid_image",
    );
  });
  try {
    const { width, height } = bitmap;
    const { context } = canvasOf(width, height);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data, width, height };
  } finally {
    bitmap.close();
  }
}

/** Return pixels as a file: `image/jpeg`, or `image/png` with their alpha. */
export function encoded({ data, width, height }, type) {
  const { canvas, context } = canvasOf(width, height);
  context.putImageData(new ImageData(data, width, height), 0, 0);
  return canvas.convertToBlob({ type, quality: JPEG_QUALITY });
}

function canvasOf(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new RangeError(`a canvas of ${width}x${height} pixels has no memory`);
  return { canvas, context };
}
