/** Results onto the user's disk. */

const note = document.getElementById("save-note");
const buttons = document.querySelectorAll(".save");

/**
 * Follow the buttons.
 * @param {(what: string) => Promise<?{blob: Blob, name: string}>} makeFile makes `mask.png`, `overlay.jpg` or
 *     `cutout.png`
 */
export function followSaving(makeFile) {
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      button.setAttribute("aria-busy", "true");
      const file = await makeFile(button.dataset.what).finally(() => button.removeAttribute("aria-busy"));
      if (file) save(file);
    });
  }
}

/** Say what the cut-out will hold, `words` for one class or all but one. */
export function noteCutout(words) {
  note.textContent = `The cut-out holds ${words}, on transparency.`;
}

function save({ blob, name }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it after the click
}
