/** The model's classes and one's own: which are used, what they are called, their colours. */

const find = (id) => document.getElementById(id);
const dialog = find("class");
const name = find("class-name");
const colour = find("class-colour");
const known = find("known");
const list = find("known-classes");
const fresh = find("new-class-name");

let onMark = () => {};

/**
 * Follow the choice of use and the names of new classes.
 * @param {object} on
 * @param {(use: string) => void} on.use hears `correct` or `teach`
 * @param {(name: string) => void} on.add
 * @param {(label: number) => void} on.mark hears which class that the model knows shall be marked
 */
export function followClasses(on) {
  onMark = on.mark;
  for (const radio of document.getElementsByName("use")) radio.addEventListener("change", () => on.use(radio.value));
  find("new-class").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = fresh.value.trim();
    if (!given) return;
    fresh.value = "";
    on.add(given);
  });
}

/**
 * Show whose classes are used, and list those that the model knows.
 * @param {{use: string, model: string, known: number, background: ?number, classes: object[]}} project
 */
export function showClasses({ use, model, known: count, background, classes }) {
  for (const radio of document.getElementsByName("use")) radio.checked = radio.value === use;
  document.body.dataset.use = use;
  known.hidden = count === 0;
  const listed = classes.slice(0, count).filter(({ index }) => index !== background);
  known.firstElementChild.textContent = `All that ${model} knows: ${listed.length} classes`;
  list.replaceChildren(...listed.map(item));
}

/**
 * Ask what shall become of a class.
 * @returns {Promise<?{name: string, colour: string}>} as it shall be; null: taken away; undefined: nothing is to change
 */
export function askForClass(label, removable) {
  name.value = label.name;
  colour.value = label.colour;
  find("class-remove").hidden = !removable;
  find("class-note").textContent =
    removable && label.photos ? `Removing it removes its marks, too: ${label.photos} ${label.photos === 1 ? "photo has" : "photos have"} some.` : "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    const answers = { change: () => ({ name: name.value.trim(), colour: colour.value }), remove: () => null };
    dialog.addEventListener("close", () => resolve(answers[dialog.returnValue]?.()), { once: true });
  });
}

function item(label) {
  const row = document.createElement("li");
  const button = row.appendChild(document.createElement("button"));
  button.type = "button";
  button.className = "plain";
  const swatch = button.appendChild(document.createElement("i"));
  swatch.className = "swatch";
  swatch.style.backgroundColor = label.colour;
  button.append(label.name);
  button.setAttribute("aria-label", `Mark ${label.name}`);
  button.addEventListener("click", () => onMark(label.index));
  return row;
}
