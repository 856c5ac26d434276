/** Photos that are larger than the server takes, made smaller before they are sent. */

const MOST_PIXELS = 16e6; // of a canvas: Safari has none much larger
const QUALITY = 0.92;
const FORM_BYTES = 4096; // more than a form adds to its file

/**
 * Make a photo small enough, upright as this browser shows it. One that it cannot read, or no size of which fits, stays as it is.
 * @param {File} file
 * @param {{max_pixels: number, max_upload_bytes: number}} limits
 * @returns {Promise<{file: File, made: string}>} what to send, and what was done to it, in words; "" where nothing
 */
export async function fitted(file, { max_pixels, max_upload_bytes }) {
  const url = URL.createObjectURL(file);
  try {
    const image = await loaded(url);
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const room = max_upload_bytes - FORM_BYTES;
    if (width * height <= max_pixels && file.size <= room) return { file, made: "" };
    let scale = Math.min(1, Math.sqrt(Math.min(max_pixels, MOST_PIXELS) / (width * height)));
    let blob = await drawn(image, scale);
    while (blob.size > room) blob = await drawn(image, (scale *= 0.8));
    const made = scale < 1 ? `shrunk here from ${width} × ${height}` : "compressed here";
    return { file: new File([blob], file.name), made };
  } catch {
    return { file, made: "" };
  } finally {
    URL.revokeObjectURL(url);
  }
}

function loaded(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = url;
  });
}

/** Draw an image at a share of its size, as a JPEG; at less than a pixel there is none. */
function drawn(image, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.floor(image.naturalWidth * scale);
  canvas.height = Math.floor(image.naturalHeight * scale);
  const context = canvas.getContext("2d");
  Object.assign(context, { fillStyle: "#fff", imageSmoothingQuality: "high" });
  context.fillRect(0, 0, canvas.width, canvas.height); // what is transparent would be black
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/jpeg", QUALITY),
  );
}
