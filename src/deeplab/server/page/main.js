/** The page: a photo comes in, its labels are shown, refined, played, and saved. */

import { fetchLimits, fetchNetwork, fetchPhoto, fetchResult, forget, refine, sendPhoto } from "./api.js";
import { takePhotos } from "./intake.js";
import { showLegend, showNothing } from "./legend.js";
import { newestOf } from "./newest.js";
import { paletteOf } from "./paint.js";
import { followParameters, parameterValues, setParameters } from "./parameters.js";
import { percent, planesIn, shareChanged, sharesOf } from "./planes.js";
import { followPlayer, setIterations, showIteration } from "./player.js";
import { followSaving, noteFiles } from "./saving.js";
import { fitted } from "./shrinking.js";
import { describePhoto, followPointer, paintLabels, readAgain, setSize, showPhoto } from "./stage.js";

const REFINE_PAUSE_MS = 120; // without a further move of a slider

const find = (id) => document.getElementById(id);
const view = { opacity: 0.55, faded: false, isolated: null };
const refineNewest = newestOf(refine, REFINE_PAUSE_MS);

/**
 * What is open: what the server said of it, what was `made` of it before it was sent, `blob`, `palette`, the labels `kept`
 * in the cut-out, and planes: of the `network` alone, the CRF's `result`, its `steps` (a promise of all iterations, once
 * asked for), and those `shown` on the right.
 */
let photo = null;
let opening = new AbortController();
let refining = Promise.resolve();

takePhotos(open, showProblem);
followPointer(readAt, (index, left) => isolate(isIsolatable(index, left) ? planesAt(left).labels[index] : null));
followParameters(refineAgain);
followPlayer(showStep);
followSaving(makeFile);
find("cancel").addEventListener("click", () => opening.abort());
find("opacity").addEventListener("input", () => change({ opacity: find("opacity").value / 100 }));
find("faded").addEventListener("change", () => change({ faded: find("faded").checked }));
for (const choice of document.getElementsByName("left")) choice.addEventListener("change", () => change({}));
find("problem").lastElementChild.addEventListener("click", () => showProblem(""));
document.addEventListener("keydown", (event) => event.key === "Escape" && photo && isolate(null));
addEventListener("pagehide", (event) => photo && !event.persisted && forget(photo.id));

/** Send a photo to the server and show what comes back; where that fails, stay with the photo that was open before. */
async function open(file) {
  opening.abort();
  const mine = (opening = new AbortController());
  const { signal } = mine;
  const before = photo && { ...photo, values: parameterValues() };
  let sent = null;
  photo = null;
  setState("busy");
  showProblem("");
  showTitle(file.name, "");
  showProgress("Uploading", 0);
  showPhoto(file, "").catch(() => {}); // the server may read what this browser cannot
  try {
    const { file: fitting, made } = await fitted(file, await fetchLimits(signal));
    const onProgress = (share) => (share < 1 ? showProgress("Uploading", share) : showProgress("Segmenting"));
    sent = await sendPhoto(fitting, { onProgress, signal });
    showProgress("Refining");
    const [blob, network, result] = await Promise.all([
      fetchPhoto(sent.id, signal),
      fetchNetwork(sent.id, signal),
      refine(sent.id, {}, signal),
    ]);
    const pixels = sent.width * sent.height;
    const [labels, [refined]] = [planesIn(network, pixels)[0], planesIn(result, pixels)];
    const palette = paletteOf(sent.labels, sent.background);
    await show({ ...sent, made, blob, palette, kept: keptAtFirst(sent), network: labels, result: refined });
    if (before) forget(before.id);
  } catch (error) {
    if (sent) forget(sent.id);
    if (opening !== mine) return; // another photo is on its way
    announce("");
    if (before) await show(before);
    else {
      showTitle("", "");
      setState("empty");
    }
    if (error.name !== "AbortError") showProblem(error.message);
  }
}

/** Return the labels that the cut-out holds unless the user says more: all that is not background, if anything is. */
function keptAtFirst({ labels, background }) {
  return new Set(background === null ? [] : labels.map(({ index }) => index).filter((index) => index !== background));
}

async function show(next) {
  const { name, width, height, made, model, parameters, limits, values = parameters } = next;
  photo = { ...next, shown: next.result, steps: null };
  setSize(width, height);
  await showPhoto(photo.blob, name);
  const shownAt = width < next.full_width ? `, shown at ${width} × ${height}` : "";
  const facts = [`${next.full_width} × ${next.full_height} px${made && `, ${made}`}${shownAt}`, model, ...next.notes];
  showTitle(name, facts.join(" · "));
  setParameters(parameters, limits, values);
  setIterations(values.iterations);
  isolate(null);
  setState("open");
  announce(`${name}: ${sharesInWords()}`);
}

async function refineAgain() {
  const current = photo;
  const mine = (refining = refineNewest(current.id, parameterValues()));
  current.steps = null;
  document.body.classList.add("refining");
  try {
    const [result] = planesIn(await mine, current.width * current.height);
    if (photo !== current) return;
    current.result = current.shown = result;
    setIterations(parameterValues().iterations);
    render();
    announce(`Refined: ${sharesInWords()}`);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error.message);
  } finally {
    if (refining === mine) document.body.classList.remove("refining");
  }
}

/** Show the labels after some iterations; return whether that went well. */
async function showStep(iteration) {
  const current = photo;
  const pixels = current.width * current.height;
  if (!current.steps) showIteration(iteration, "computing");
  const asked = (current.steps ??= refine(current.id, { ...parameterValues(), every_iteration: true }).then((answer) =>
    planesIn(answer, pixels),
  ));
  try {
    const steps = await asked;
    if (photo !== current || current.steps !== asked) return false;
    current.shown = steps[iteration];
    const changed = iteration > 0 && shareChanged(steps[iteration - 1].labels, steps[iteration].labels);
    showIteration(iteration, iteration > 0 ? `${percent(changed)} changed` : "the network");
    render();
    return true;
  } catch (error) {
    current.steps = null;
    showProblem(error.message);
    return false;
  }
}

async function makeFile(what) {
  const classes = what === "cutout.png" ? cutOut().map((index) => labelAt(index).name) : [];
  try {
    return await fetchResult(photo.id, what, parameterValues(), classes);
  } catch (error) {
    showProblem(error.message);
    return null;
  }
}

function isolate(label) {
  change({ isolated: label });
}

/** Return the labels that the cut-out holds. */
function cutOut() {
  return view.isolated === null ? [...photo.kept] : [view.isolated];
}

function keep(label, kept) {
  if (kept) photo.kept.add(label);
  else photo.kept.delete(label);
  render();
}

function change(part) {
  Object.assign(view, part);
  if (photo) render();
}

function render() {
  const { labels, network, shown, palette, kept } = photo;
  const leftOnly = document.querySelector("input[name=left]:checked").value === "photo";
  find("side-left").textContent = leftOnly ? "Photo" : "Network";
  paintLabels(leftOnly ? null : network, shown, palette, view);
  const [before, after] = [network, shown].map((planes) => sharesOf(planes.labels, 256));
  const found = labels.filter(({ index }) => before[index] || after[index]);
  found.sort((a, b) => before[b.index] - before[a.index]); // by the network's, so that rows keep their places
  const choose = (label) => isolate(label === view.isolated ? null : label);
  showLegend(found, before, after, { isolated: view.isolated, kept }, choose, keep);
  showNothing(isNothing(after) ? knownInWords() : "");
  describeFiles();
  describePhoto(`${photo.name}: ${sharesInWords()}`);
  readAgain(readAt);
}

function describeFiles() {
  const { made, full_width, full_height, result } = photo;
  const size = `${full_width} × ${full_height} px: the photo was ${made}, as the server takes no larger one`;
  const shares = sharesOf(result.labels, 256);
  const names = cutOut().filter((index) => shares[index]).map((index) => labelAt(index).name);
  const missing = view.isolated === null ? "tick the classes that it shall hold" : "the CRF left none of this class";
  const reason = `There is no cut-out: ${isNothing(shares) ? "nothing was found" : missing}.`;
  noteFiles(made ? size : "the photo's full size", names, reason);
}

/** Whether there is nothing but background. */
function isNothing(shares) {
  return photo.background !== null && shares.every((share, label) => !share || label === photo.background);
}

function knownInWords() {
  const known = photo.labels.filter(({ index }) => index !== photo.background).map(({ name }) => name);
  return `Nothing was found. What ${photo.model} knows: ${known.join(", ")}.`;
}

function sharesInWords() {
  const shares = sharesOf(photo.shown.labels, 256);
  if (isNothing(shares)) return knownInWords();
  const found = photo.labels.filter(({ index }) => shares[index]).sort((a, b) => shares[b.index] - shares[a.index]);
  return found.map(({ index, name }) => `${name} ${percent(shares[index])}`).join(", ");
}

function readAt(index, left) {
  if (!photo) return null;
  const { labels, confidence } = planesAt(left);
  const label = labelAt(labels[index]);
  return label && { ...label, confidence: `${Math.round((100 * confidence[index]) / 255)} % sure` };
}

function planesAt(left) {
  return left && find("side-left").textContent === "Network" ? photo.network : photo.shown;
}

/** Whether a click there isolates a class: not on background, nor on what is isolated already, which show all again. */
function isIsolatable(index, left) {
  const label = planesAt(left).labels[index];
  return !photo.palette.plain[label] && label !== view.isolated;
}

function labelAt(index) {
  return photo.labels.find((label) => label.index === index);
}

function setState(state) {
  document.body.dataset.state = state;
  for (const part of document.querySelectorAll("aside, .controls, #pointer, #split")) part.inert = state !== "open";
}

function showTitle(name, facts) {
  find("photo-name").textContent = name;
  find("photo-facts").textContent = facts;
  document.title = name ? `${name} · deeplab` : "deeplab";
}

function showProgress(words, share) {
  find("progress-label").textContent = words;
  if (share === undefined) find("progress").removeAttribute("value");
  else find("progress").value = share;
  if (find("status").textContent !== words) announce(words);
}

function announce(words) {
  find("status").textContent = words;
}

function showProblem(words) {
  find("problem").firstElementChild.textContent = words;
  document.body.classList.toggle("has-problem", words !== "");
}
