/** The classes, with the share of each before and after the CRF, and whether the cut-out shall hold it. */

import { percent } from "./planes.js";

const rows = document.getElementById("legend");
const nothing = document.getElementById("nothing");

/**
 * Show the classes with their shares.
 * @param {{index: number, name: string, colour: string}[]} labels those to show, in this order
 * @param {?ArrayLike<number>} before share by label, 0–1; null where nothing was segmented
 * @param {?ArrayLike<number>} after the same, with the CRF
 * @param {{isolated: ?number, kept: Set<number>, own: (label: number) => boolean}} chosen the label shown alone, those
 *     that the cut-out holds, and those that may be changed
 * @param {(label: number) => void} on.choose hears which class was chosen
 * @param {(label: number, kept: boolean) => void} on.keep hears which was ticked or no longer is
 * @param {(label: number) => void} on.edit hears which shall be changed
 */
export function showLegend(labels, before, after, { isolated, kept, own }, on) {
  labels.forEach((label, place) => {
    const row = rows.children[place] ?? rows.appendChild(emptyRow());
    const [choose, edit] = row.querySelectorAll("button");
    const tick = row.querySelector("input");
    const [, share, newShare] = row.cells;
    tick.checked = kept.has(label.index);
    tick.setAttribute("aria-label", `${label.name} in the cut-out`);
    tick.onchange = () => on.keep(label.index, tick.checked);
    choose.firstChild.style.backgroundColor = label.colour;
    choose.lastChild.textContent = label.name;
    choose.onclick = () => on.choose(label.index);
    choose.setAttribute("aria-pressed", String(label.index === isolated));
    edit.hidden = !own(label.index);
    edit.setAttribute("aria-label", `Change ${label.name}`);
    edit.onclick = () => on.edit(label.index);
    share.textContent = before ? percent(before[label.index]) : "";
    newShare.textContent = after ? percent(after[label.index]) : "";
    row.style.setProperty("--share", `${after ? 100 * after[label.index] : 0}%`);
  });
  while (rows.children.length > labels.length) rows.lastChild.remove();
}

/** Say that nothing was found, and what could have been; "" says nothing. */
export function showNothing(words) {
  if (nothing.textContent !== words) nothing.textContent = words;
}

function emptyRow() {
  const row = document.createElement("tr");
  const head = row.appendChild(document.createElement("th"));
  head.scope = "row";
  const cell = head.appendChild(document.createElement("div"));
  cell.appendChild(document.createElement("input")).type = "checkbox";
  const choose = cell.appendChild(document.createElement("button"));
  choose.className = "name";
  choose.appendChild(document.createElement("i")).className = "swatch";
  choose.appendChild(document.createElement("span"));
  const edit = cell.appendChild(document.createElement("button"));
  edit.className = "edit";
  edit.textContent = "✎";
  choose.type = edit.type = "button";
  row.insertCell();
  row.insertCell();
  return row;
}
