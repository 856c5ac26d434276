/** What the user changes: marks, classes, the model's parameters; kept by the engine, whatever else goes on there. */

import { album, lasting, readMarks, storeMarks, takeOver } from "./album.js";
import * as engine from "./api.js";
import { did, doneAgain, redone, undone, withMark } from "./marks.js";
import { open, showPhotos, showProject } from "./opening.js";
import { parameterValues } from "./parameters.js";
import { render, showHistory } from "./result.js";
import { segmentAgain } from "./segmenting.js";
import { untint } from "./strip.js";
import { announce, showProblem } from "./telling.js";
import { chooseLabel, takeTool } from "./tools.js";

const RETRY_MS = 1500; // while the engine does not answer
const ELSEWHERE = "This project was changed in another page, too. What both have marked is kept.";

let changing = 0; // changes under way
let retrying = false;

/** Add a mark to the open photo. */
export function addMark(mark) {
  const { history } = album.open;
  return putHistory(did(history, withMark(history.now, mark)));
}

/** Take all marks of the open photo away. */
export function clearMarks() {
  if (album.open.history.now.length) putHistory(did(album.open.history, []));
}

export function undo() {
  if (album.open?.history.past.length) putHistory(undone(album.open.history));
}

export function redo() {
  if (album.open?.history.future.length) putHistory(redone(album.open.history));
}

/** Keep the sliders' values, where they are not the model's own. */
export function keepParameters() {
  const { own } = album.project;
  const crf = Object.fromEntries(Object.entries(parameterValues()).filter(([name, value]) => value !== own[name]));
  return doing(async () => takeOver(await lasting(() => engine.changeProject({ crf }))));
}

export function addClass(name) {
  return doing(async () => {
    await changeClasses([...listed(), { was: null, name, colour: null }]);
    chooseLabel(album.project.classes.length - 1);
    if (album.photos.length) takeTool("brush");
    announce(`${name} is added. Brush over some of it.`);
  });
}

/** Give a class another name or colour, or with null take it away. */
export function editClass(label, changed) {
  const all = listed();
  const at = all.findIndex(({ was }) => was === label);
  all.splice(at, 1, ...(changed ? [{ was: label, ...changed }] : []));
  return doing(() => changeClasses(all));
}

/** Use the model's classes, `correct`, or one's own, `teach`; what is marked stays so. */
export function takeUse(use) {
  return doing(async () => {
    const { model, classes: before } = takeOver(await lasting(engine.fetchProject)); // it knows what is marked by now
    const classes = use === "teach" ? ownAmong(before) : withOwn(await engine.fetchClasses(model), before);
    await anew(await lasting(() => engine.changeProject({ use, classes })));
  });
}

/** Look whether another page has changed the project, and show what it has. */
export async function refresh() {
  if (!album.open || changing || retrying) return;
  await doing(async () => {
    const { classes, use, crf } = album.project;
    const project = await lasting(engine.fetchProject);
    const same = JSON.stringify([classes.map(nameOf), use, crf]) === JSON.stringify([project.classes.map(nameOf), project.use, project.crf]);
    if (!same) return anew(project);
    takeOver(project);
    showPhotos();
    const before = album.open.history;
    await readMarks(album.open);
    if (album.open.history === before) return;
    render();
    await segmentAgain(0);
  });
}

/** Do what may fail, and say so. */
export async function doing(work) {
  changing += 1;
  document.body.classList.add("working");
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.code === "changed_elsewhere") {
      return doing(async () => {
        await anew(await lasting(engine.fetchProject));
        showProblem("This project was changed in another page meanwhile. Please look, and do it again.");
      });
    }
    showProblem(error.message);
    if (error.code === "unreachable") retry();
  } finally {
    changing -= 1;
    document.body.classList.toggle("working", changing > 0);
  }
}

/** Let the open photo have other marks. */
function putHistory(history) {
  const photo = album.open;
  photo.history = history;
  showHistory();
  return doing(async () => {
    album.project.lacks = await lasting(() => storeMarks(photo, () => merge(photo)));
    photo.info.marks = photo.stored.length;
    if (photo === album.open) await segmentAgain(0);
    showPhotos();
  });
}

/** Another page was quicker: do what was done here since the engine had the marks to those that it has now. */
async function merge(photo) {
  const { classes } = album.project;
  takeOver(await engine.fetchProject());
  renumber(classes);
  showProject();
  const theirs = await engine.fetchMarks(photo.info.id);
  const { stored, history } = photo;
  photo.stored = theirs;
  if ([stored, history.now].some((marks) => JSON.stringify(marks) === JSON.stringify(theirs))) return; // another change
  photo.history = doneAgain(theirs, stored, history.now);
  showHistory();
  showProblem(ELSEWHERE);
}

/** Let marks go by the numbers that their classes, once `before`, have now; those of classes that are gone go, too. */
function renumber(before) {
  const present = new Map(album.project.classes.map(({ name, index }) => [name, index]));
  const numbers = new Map(before.map(({ name, index }) => [index, present.get(name)])).set(null, null); // the eraser has none
  const renumbered = (marks) =>
    marks.map((mark) => ({ ...mark, label: numbers.get(mark.label) })).filter(({ label }) => label !== undefined);
  for (const photo of album.photos.filter(({ history }) => history)) {
    const { past, now, future } = photo.history;
    photo.history = { past: past.map(renumbered), now: renumbered(now), future: future.map(renumbered) };
    photo.stored = renumbered(photo.stored);
  }
}

async function changeClasses(classes) {
  await anew(await lasting(() => engine.changeProject({ classes })));
}

/** Show a project whose classes may be others: marks go by other numbers, and the way back is closed. */
async function anew(project) {
  takeOver(project);
  const shown = album.photos.includes(album.open) ? album.open : album.photos[0];
  const others = album.photos.filter((photo) => photo.history && photo !== shown);
  for (const photo of album.photos) photo.history = null;
  untint();
  showProject();
  await Promise.all([open(shown), lasting(() => Promise.all(others.map(readMarks)))]);
}

/** Wait until the engine answers again, and give it what it has missed. */
async function retry() {
  if (retrying) return;
  retrying = true;
  for (let answered = false; !answered; ) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    try {
      await engine.fetchLimits(); // not the project: what others have changed there is noticed as the marks are put
      answered = true;
    } catch (error) {
      answered = error.code !== "unreachable";
    }
  }
  retrying = false;
  showProblem("");
  announce("The server answers again.");
  if (!album.project) return;
  showProject();
  if (album.open) putHistory(album.open.history);
}

/** Of a model's classes, those that are marked; and background. */
function ownAmong(classes) {
  const kept = classes.filter(({ name, photos }) => photos || name === "background");
  const found = kept.map(({ index, name, colour }) => ({ was: index, name, colour }));
  return found.length ? found : [{ was: null, name: "background", colour: null }];
}

/** A model's classes and, after them, one's own of other names. */
function withOwn(known, own) {
  const was = (name) => own.find((one) => one.name === name)?.index ?? null;
  const others = own.filter(({ name }) => !known.some((one) => one.name === name));
  return [...known, ...others].map(({ name, colour }) => ({ was: was(name), name, colour }));
}

function listed() {
  return album.project.classes.map(({ index, name, colour }) => ({ was: index, name, colour }));
}

function nameOf({ name, colour }) {
  return [name, colour];
}
