/** The classes found, with the share of each before and after the CRF, and whether the cut-out shall hold it. */

import { percent } from "./planes.js";

const rows = document.getElementById("legend");
const nothing = document.getElementById("nothing");

/**
 * Show the classes with their shares.
 * @param {{index: number, name: string, colour: string}[]} labels those to show, in this order
 * @param {ArrayLike<number>} before share by label, 0–1
 * @param {ArrayLike<number>} after the same, with the CRF
 * @param {{isolated: ?number, kept: Set<number>}} chosen the label shown alone, and those that the cut-out holds
 * @param {(label: number) => void} onChoose hears which class was chosen
 * @param {(label: number, kept: boolean) => void} onKeep hears which was ticked or no longer is
 */
export function showLegend(labels, before, after, { isolated, kept }, onChoose, onKeep) {
  labels.forEach((label, place) => {
    const row = rows.children[place] ?? rows.appendChild(emptyRow());
    const [button, tick] = [row.querySelector("button"), row.querySelector("input")];
    const [, share, newShare] = row.cells;
    tick.checked = kept.has(label.index);
    tick.setAttribute("aria-label", `${label.name} in the cut-out`);
    tick.onchange = () => onKeep(label.index, tick.checked);
    button.firstChild.style.backgroundColor = label.colour;
    button.lastChild.textContent = label.name;
    button.onclick = () => onChoose(label.index);
    button.setAttribute("aria-pressed", String(label.index === isolated));
    share.textContent = percent(before[label.index]);
    newShare.textContent = percent(after[label.index]);
    row.style.setProperty("--share", `${100 * after[label.index]}%`);
  });
  while (rows.children.length > labels.length) rows.lastChild.remove();
}

/** Say that nothing was found, and what could have been; "" says nothing. */
export function showNothing(words) {
  nothing.textContent = words;
}

function emptyRow() {
  const row = document.createElement("tr");
  const head = row.appendChild(document.createElement("th"));
  head.scope = "row";
  head.appendChild(document.createElement("input")).type = "checkbox";
  const button = head.appendChild(document.createElement("button"));
  button.type = "button";
  button.appendChild(document.createElement("i")).className = "swatch";
  button.appendChild(document.createElement("span"));
  row.insertCell();
  row.insertCell();
  return row;
}
