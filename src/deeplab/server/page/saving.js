/** Results onto the user's disk. */

const WORKING = "Making the file, at the photo's full size …";

const note = document.getElementById("save-note");
const buttons = document.querySelectorAll(".save");

let contents = ""; // what the files will hold, in words
let making = 0; // files at the moment

/**
 * Follow the buttons.
 * @param {(what: string) => Promise<?{blob: Blob, name: string}>} makeFile makes `mask.png`, `overlay.jpg` or
 *     `cutout.png`
 */
export function followSaving(makeFile) {
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      if (button.hasAttribute("aria-busy")) return;
      button.setAttribute("aria-busy", "true");
      making += 1;
      showNote();
      const file = await makeFile(button.dataset.what);
      button.removeAttribute("aria-busy");
      making -= 1;
      showNote();
      if (file) save(file);
    });
  }
}

/** Say what the cut-out will hold, `words` for one class or all but one. */
export function noteCutout(words) {
  contents = `Files have the photo's full size. The cut-out holds ${words}, on transparency.`;
  showNote();
}

function showNote() {
  note.textContent = making ? WORKING : contents;
}

function save({ blob, name }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it after the click
}
