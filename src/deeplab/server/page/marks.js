/** What is marked on a photo, in pixels of the photo itself: strokes, boxes, regions; and the way back to what was. */

const MOST_STEPS = 200; // that can be undone
const CASING_PX = 1.5; // of white around a stroke, in pixels of the canvas
const BOX_PX = 2.5;

/** Return a history that stands at `marks`. */
export function newHistory(marks = []) {
  return { past: [], now: marks, future: [] };
}

export function did({ past, now }, marks) {
  return { past: [...past, now].slice(-MOST_STEPS), now: marks, future: [] };
}

export function undone({ past, now, future }) {
  return { past: past.slice(0, -1), now: past.at(-1), future: [now, ...future] };
}

export function redone({ past, now, future }) {
  return { past: [...past, now], now: future[0], future: future.slice(1) };
}

/** Return a history that begins with `theirs` and goes on with what was done to `before` until it was `now`. */
export function doneAgain(theirs, before, now) {
  const [had, has, wanted] = [before, theirs, now].map((marks) => marks.map((mark) => JSON.stringify(mark)));
  const differs = had.findIndex((mark, i) => mark !== wanted[i]);
  const same = differs < 0 ? had.length : differs;
  const removed = had.slice(same);
  const kept = theirs.filter((_, i) => i < same || !removed.includes(has[i]));
  return now.slice(same).reduce((history, mark) => did(history, withMark(history.now, mark)), newHistory(kept));
}

/** Return `marks` and one more; an eraser that touches a box's outline takes the box away. */
export function withMark(marks, mark) {
  const kept = mark.label === null ? marks.filter((other) => !touches(mark, other)) : marks;
  return [...kept, mark];
}

function touches({ points, width_px }, { kind, box }) {
  if (kind !== "box") return false;
  const [x0, y0, x1, y1] = box;
  return points.some(([x, y]) => {
    const outside = Math.max(x0 - x, x - x1, y0 - y, y - y1);
    return Math.abs(outside) <= width_px / 2;
  });
}

/**
 * Draw marks over a photo: the later over the earlier, boxes as outlines over all.
 * @param {HTMLCanvasElement} canvas
 * @param {object[]} marks
 * @param {{full_width: number, full_height: number}} size of the photo
 * @param {(label: number) => string} colourOf
 */
export function drawMarks(canvas, marks, { full_width, full_height }, colourOf) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / full_width;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.save();
  context.scale(scale, canvas.height / full_height);
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  for (const mark of marks) {
    context.globalCompositeOperation = mark.label === null ? "destination-out" : "source-over";
    const colour = mark.label === null ? "#000" : colourOf(mark.label);
    if (mark.kind === "region") drawRegion(context, mark, full_width, full_height, colour);
    if (mark.kind === "stroke") {
      if (mark.label !== null) drawStroke(context, mark, "#fff", (2 * CASING_PX) / scale);
      drawStroke(context, mark, colour, 0);
    }
  }
  context.globalCompositeOperation = "source-over";
  for (const { kind, box, label } of marks) {
    if (kind === "box") drawBox(context, box, colourOf(label), BOX_PX / scale);
  }
  context.restore();
}

function drawStroke(context, { points, width_px }, colour, more) {
  context.beginPath();
  const [[x, y], ...others] = points;
  context.moveTo(x, y);
  for (const point of others.length ? others : [[x + 0.01, y]]) context.lineTo(...point); // a line of no length is none
  Object.assign(context, { strokeStyle: colour, lineWidth: width_px + more });
  context.stroke();
}

function drawBox(context, [x0, y0, x1, y1], colour, width) {
  for (const [strokeStyle, lineWidth] of [["#fff", 2 * width], [colour, width]]) {
    Object.assign(context, { strokeStyle, lineWidth });
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
}

/** Draw a region as a dense hatch, so that the photo under it stays visible. */
function drawRegion(context, { size: [width, height], runs }, full_width, full_height, colour) {
  const [stepX, stepY] = [full_width / width, full_height / height];
  context.fillStyle = colour;
  for (let i = 0; i < runs.length; i += 2) {
    const [x, y] = [runs[i] % width, Math.floor(runs[i] / width)];
    if (context.globalCompositeOperation === "destination-out" || y % 4 < 2) {
      context.fillRect(x * stepX, y * stepY, runs[i + 1] * stepX, stepY);
    }
  }
}
