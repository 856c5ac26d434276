/** Mouse, pen, fingers and keys on the photo: presses that draw, and views that move. */

import { fit, isZoomed, panBy, placeAt, reveal, zoomBy } from "./zoom.js";

const STILL_PX = 4; // a press that moves less is a click
const KEY_STEPS = 40; // of the arrow keys along the photo's longer side

const pointer = document.getElementById("pointer");
const stage = document.getElementById("stage");

const fingers = new Map(); // what is down, by pointer id: [x, y] on the screen
let trail = null; // of the press under way: places in the photo, shares of its sides
let started = null; // where it began on the screen
let moving = false; // whether the press moves the view
let by = ""; // mouse, pen or touch
let spaceHeld = false;
let place = null; // of the pointer, or of the cross that keys move

/**
 * Follow what points at the photo. Places are [x, y], shares of the photo's sides.
 * @param {object} on
 * @param {() => boolean} on.draws whether a press draws; it moves the view or picks otherwise
 * @param {() => [number, number]} on.size of what is seen, in pixels: by one of them keys move with Shift
 * @param {(place: number[], byKey: boolean) => void} on.hover
 * @param {() => void} on.leave
 * @param {(trail: number[][]) => void} on.draw hears of a press as it grows
 * @param {(trail: number[][], byKey: boolean) => void} on.drawn hears of its end
 * @param {() => void} on.undrawn hears that it does not count
 * @param {(place: number[], byTouch: boolean) => void} on.pick
 * @param {() => boolean} on.isInstant whether a press by key ends at once
 */
export function followPointing(on) {
  const end = (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size) return; // or one of two fingers
    const was = trail;
    trail = null;
    if (was && event.type === "pointercancel") on.undrawn();
    else if (was) on.drawn(was, false);
    else if (event.type === "pointerup" && moved(event) < STILL_PX && !on.draws()) {
      on.pick(placeAt(event.clientX, event.clientY), event.pointerType === "touch");
    }
    started = null;
  };

  pointer.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" && fingers.size && by === "pen") return; // a hand beside the pen
    if (event.button > 1) return;
    by = event.pointerType;
    pointer.focus({ preventScroll: true, focusVisible: false });
    pointer.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    started = [event.clientX, event.clientY];
    moving = event.button === 1 || spaceHeld || !on.draws();
    if (fingers.size > 1) {
      started = null;
      cancel(on);
    } else if (moving) hover(on, event);
    else {
      trail = [placeAt(event.clientX, event.clientY)];
      on.draw(trail);
    }
    if (event.button === 1) event.preventDefault(); // which would scroll
  });
  pointer.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (before) fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size > 1 && before) pinch(event.pointerId, before);
    else if (trail && before) {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const part of events.length ? events : [event]) trail.push(placeAt(part.clientX, part.clientY));
      on.draw(trail);
      hover(on, event);
    } else {
      if (before && moving) panBy(event.clientX - before[0], event.clientY - before[1]);
      hover(on, event);
    }
  });
  pointer.addEventListener("pointerup", end);
  pointer.addEventListener("pointercancel", end);
  pointer.addEventListener("auxclick", (event) => event.preventDefault()); // the middle button moves the view
  pointer.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && on.leave());
  pointer.addEventListener("blur", () => {
    if (trail && !fingers.size) cancel(on);
    on.leave();
  });
  pointer.addEventListener("wheel", (event) => {
    if (!(event.ctrlKey || event.metaKey || on.draws() || isZoomed())) return; // the page scrolls
    event.preventDefault();
    zoomBy(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / (event.ctrlKey ? 100 : 300)), event.clientX, event.clientY);
    hover(on, event);
  }, { passive: false });
  pointer.addEventListener("keydown", (event) => followKey(event, on));
  pointer.addEventListener("keyup", (event) => {
    if (event.key === " ") spaceHeld = false;
    stage.classList.toggle("moving", spaceHeld);
  });
}

/** Give up the press under way; return whether there was one. */
export function cancel(on) {
  if (!trail) return false;
  trail = null;
  on.undrawn();
  return true;
}

function followKey(event, on) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const [width, height] = on.size();
  const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(width, height) / KEY_STEPS));
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const zooms = { "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: fit };
  if (event.key in moves) {
    const [x, y] = place ?? [0.5, 0.5];
    const [moveX, moveY] = moves[event.key];
    place = [within(x + moveX / width), within(y + moveY / height)];
    reveal(place);
    if (trail) on.draw((trail = [...trail, place]));
    on.hover(place, true);
  } else if (event.key === "Enter" && on.draws()) pressByKey(on);
  else if (event.key === "Enter" && place) on.pick(place, false);
  else if (event.key === "Escape" && cancel(on)) event.stopPropagation();
  else if (event.key === " ") stage.classList.toggle("moving", (spaceHeld = true));
  else if (event.key in zooms) zooms[event.key]();
  else return;
  event.preventDefault();
}

/** Put the tool down at the cross, or lift it. */
function pressByKey(on) {
  place ??= [0.5, 0.5];
  on.hover(place, true);
  if (!trail) {
    on.draw((trail = [place]));
    if (!on.isInstant()) return;
  }
  const was = trail;
  trail = null;
  on.drawn(was, true);
}

function hover(on, event) {
  place = placeAt(event.clientX, event.clientY);
  if (place.every((share) => share >= 0 && share <= 1)) on.hover(place, false);
  else on.leave();
}

/** Two fingers: the photo follows both. */
function pinch(moving, before) {
  const [other] = [...fingers].filter(([id]) => id !== moving).map(([, at]) => at);
  const now = fingers.get(moving);
  const distance = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
  zoomBy(distance(now, other) / distance(before, other), (before[0] + other[0]) / 2, (before[1] + other[1]) / 2);
  panBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
}

function moved(event) {
  return started ? Math.hypot(event.clientX - started[0], event.clientY - started[1]) : Infinity;
}

function within(share) {
  return Math.min(1, Math.max(0, share));
}
