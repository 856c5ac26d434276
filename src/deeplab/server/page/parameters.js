/** The sliders of the CRF's parameters. */

const STEPS = 400; // of a slider whose values are not whole numbers
const WHOLE = new Set(["iterations"]);

const reset = document.getElementById("reset");
const sliders = [...document.querySelectorAll(".parameter")].map((box) => ({
  name: box.dataset.name,
  unit: box.dataset.unit ?? "",
  input: box.querySelector("input"),
  output: box.querySelector("output"),
}));

let model = {}; // the model's own values
let values = {};
let limits = {};

/** Call `onChange` whenever the user moves a slider or resets them, and `onSettled` once that is done. */
export function followParameters(onChange, onSettled) {
  for (const slider of sliders) {
    slider.input.addEventListener("input", () => {
      values[slider.name] = valueAt(slider.name, Number(slider.input.value));
      show(slider);
      onChange();
    });
    slider.input.addEventListener("change", onSettled);
  }
  reset.addEventListener("click", () => {
    setParameters(model, limits, model);
    onChange();
    onSettled();
  });
}

/** Set the sliders to `current` values; `own` are the model's, `newLimits` [smallest, largest] by name. */
export function setParameters(own, newLimits, current) {
  model = own;
  limits = newLimits;
  values = Object.fromEntries(sliders.map(({ name }) => [name, current[name]]));
  for (const slider of sliders) {
    const [least, most] = WHOLE.has(slider.name) ? limits[slider.name] : [0, STEPS];
    Object.assign(slider.input, { min: least, max: most, step: 1 });
    slider.input.value = positionOf(slider.name, values[slider.name]);
    show(slider);
  }
}

/** Return the parameters by name, as the engine takes them. */
export function parameterValues() {
  return { ...values };
}

function show({ name, unit, input, output }) {
  output.textContent = `${Number(values[name].toPrecision(3))} ${unit}`.trim();
  input.setAttribute("aria-valuetext", output.textContent);
  reset.disabled = sliders.every((slider) => values[slider.name] === model[slider.name]);
}

function valueAt(name, position) {
  if (WHOLE.has(name)) return position;
  const [least, most] = limits[name];
  const value = least + (most - least) * (position / STEPS) ** bend(name);
  return Math.min(most, Math.max(least, Number(value.toPrecision(3))));
}

function positionOf(name, value) {
  if (WHOLE.has(name)) return value;
  const [least, most] = limits[name];
  return Math.round(STEPS * ((value - least) / (most - least)) ** (1 / bend(name)));
}

/** The exponent that puts the model's own value in the middle of its slider: fine steps below it, coarse ones above. */
function bend(name) {
  const [least, most] = limits[name];
  const place = (model[name] - least) / (most - least);
  return place > 0 ? Math.min(8, Math.max(1, Math.log(place) / Math.log(0.5))) : 1;
}
