/** Results onto the user's disk: of the photo, or of all. */

const WORKING = "Making the file, at the photo's full size …";

const note = document.getElementById("save-note");
const buttons = document.querySelectorAll(".save");
const cutout = document.getElementById("cutout");
const form = document.getElementById("export");
const what = document.getElementById("export-what");

let contents = ""; // what the files will hold, in words
let making = 0; // files at the moment

/**
 * Follow the buttons.
 * @param {(what: string) => Promise<?{blob: Blob, name: string}>} makeFile makes `mask.png`, `overlay.jpg` or
 *     `cutout.png` of the photo
 * @param {(what: string) => Promise<?{blob: Blob, name: string}>} makeExport makes a file of all photos
 */
export function followSaving(makeFile, makeExport) {
  const follow = async (button, make) => {
    if (button.hasAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    making += 1;
    showNote();
    const file = await make();
    button.removeAttribute("aria-busy");
    making -= 1;
    showNote();
    if (file) save(file);
  };
  for (const button of buttons) button.addEventListener("click", () => follow(button, () => makeFile(button.dataset.what)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    follow(form.querySelector("button"), () => makeExport(what.value));
  });
}

/** Offer the model only where there is one of the user's own. */
export function offerModel(offered) {
  const option = what.querySelector("[value='model.onnx']");
  option.hidden = option.disabled = !offered;
  if (option.selected && !offered) what.selectedIndex = 0;
}

/**
 * Say what the files will hold.
 * @param {string} size of all, in words
 * @param {string[]} names of the classes in the cut-out
 * @param {string} reason why there is no cut-out, where there are no classes in it
 */
export function noteFiles(size, names, reason) {
  cutout.disabled = names.length === 0;
  contents = `Files have ${size}. ${names.length ? `The cut-out holds ${names.join(", ")}, on transparency.` : reason}`;
  showNote();
}

function showNote() {
  const words = making ? WORKING : contents;
  if (note.textContent !== words) note.textContent = words; // which is read aloud
}

function save({ blob, name }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it after the click
}
