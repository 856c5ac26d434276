/** The mean-field iterations, one after the other (the paper's figure 2). */

const STEP_MS = 450;
const CALM_STEP_MS = 1200; // for those who asked for less motion

const button = document.getElementById("play");
const slider = document.getElementById("iteration");
const shown = document.getElementById("iteration-shown");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let timer = null;

/**
 * Follow button and slider.
 * @param {(iteration: number) => Promise<boolean>} onStep shows an iteration; false where that could not be done
 */
export function followPlayer(onStep) {
  const play = async (iteration) => {
    const done = await onStep(iteration);
    if (timer === null) return; // stopped meanwhile
    if (!done || iteration === Number(slider.max)) return stopPlaying();
    timer = setTimeout(play, calm.matches ? CALM_STEP_MS : STEP_MS, iteration + 1);
  };
  button.addEventListener("click", () => {
    if (timer !== null) return stopPlaying();
    const at = Number(slider.value);
    timer = setTimeout(play, 0, at === Number(slider.max) ? 0 : at + 1);
    label(true);
  });
  slider.addEventListener("input", () => {
    stopPlaying();
    onStep(Number(slider.value));
  });
  label(false);
}

/** Stand at the last of `count` iterations. */
export function setIterations(count) {
  stopPlaying();
  slider.max = count;
  slider.value = count;
  slider.disabled = button.disabled = count === 0;
  showIteration(count, "");
}

/** Say where the player stands; `note` is what happened there. */
export function showIteration(iteration, note) {
  slider.value = iteration;
  shown.textContent = `${iteration} of ${slider.max}${note && ` · ${note}`}`;
  slider.setAttribute("aria-valuetext", shown.textContent);
}

function stopPlaying() {
  clearTimeout(timer);
  timer = null;
  label(false);
}

function label(playing) {
  button.setAttribute("aria-label", playing ? "Pause" : "Play the iterations");
  button.classList.toggle("playing", playing);
}
