// The page: takes pictures, asks this server about them, shows what it says.
"use strict";
import { toJpeg } from "./picture.js";
import { watchServer } from "./live.js";
import { drawMap } from "./map.js";

const AT_A_TIME = 3;    // requests on their way at a time
const MOST_CARDS = 60;  // older ones that are done leave, and their pictures with them
const MOST_TRIES = 6;   // when the server is busy
const SHOWN = 5;        // classes
const DECIDED = 0.5;    // a sigmoid's score from which on a class is there
const TINY = 96;        // pixels; smaller pictures are shown enlarged
const STAGES = ["queue", "decode", "preprocess", "inference"];

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const percent = (score) => `${(100 * score).toFixed(score < 0.1 ? 2 : 1)} %`;
// Softmax divides a whole into shares; sigmoids judge each class for itself.
const isWhole = (model) => models.get(model)?.activation !== "sigmoid";
const scoreText = (model, score) => (isWhole(model) ? percent(score) : score.toFixed(score < 0.1 ? 4 : 3));
const milliseconds = (ms) => `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
const announce = (text) => { byId("announce").textContent = text; };

const models = new Map();
let explains = true;    // until the server says that it does not
let working = 0;
let batch = { done: 0, total: 0 };
const waiting = [];

// --- asking ---

class Failure extends Error {
  constructor(code, message, status, retryAfter) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
    this.mayPass = !status || status === 401 || status >= 500; // another time
  }
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem("api-key");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Failure("unreachable", "The server cannot be reached.");
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  if (answer.status === 401) byId("key-form").hidden = false;
  const { code = String(answer.status), message = answer.statusText } = body.error ?? {};
  throw new Failure(code, message, answer.status, answer.status === 503 ? answer.headers.get("Retry-After") : null);
}

// Asks again while the server is busy. `elapsed` is the time of the try that was answered.
async function askPatiently(path, options, busy = () => {}) {
  for (let tries = 1; ; tries++) {
    const begin = performance.now();
    try {
      return { answer: await ask(path, options), elapsed: performance.now() - begin };
    } catch (failure) {
      if (!failure.retryAfter || tries === MOST_TRIES) throw failure;
      busy();
      await sleep(1000 * Math.min(Number(failure.retryAfter) || 1, 10));
    }
  }
}

// --- one picture ---

function makeCard(file) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  const part = (selector) => card.querySelector(selector);
  const name = file.name || "pasted picture";
  part(".name").textContent = name;
  part(".remove").setAttribute("aria-label", `Remove ${name}`);
  part(".remove").addEventListener("click", () => {
    removeCard(card);
    byId("choose").focus();
  });
  const entry = { card, part, name, file, leaving: new AbortController() };
  part(".again").setAttribute("aria-label", `Try ${name} again`);
  part(".again").addEventListener("click", () => {
    if (document.activeElement === part(".again")) part(".remove").focus();
    setState(entry, "waiting", "Waiting");
    enqueue([entry]);
  });
  card.addEventListener("removed", () => entry.leaving.abort());
  return entry;
}

function removeCard(card) {
  const image = card.querySelector("img");
  if (image.src) URL.revokeObjectURL(image.src);
  card.dataset.state = "removed";
  card.dispatchEvent(new Event("removed")); // the server drops what nobody waits for
  card.remove();
  document.body.classList.toggle("has-results", byId("results").childElementCount > 0);
}

function setState(entry, state, title, message = "") {
  entry.card.dataset.state = state;
  entry.part("h2").textContent = title;
  entry.part(".message").textContent = message;
  entry.part(".message").hidden = !message;
  entry.part(".again").hidden = state !== "failed" || !entry.mayPass;
}

async function showPicture(entry, model) {
  const image = entry.part("img");
  // As the network sees it.
  image.style.imageOrientation = model?.exif_orientation === "ignore" ? "none" : "from-image";
  image.src = URL.createObjectURL(entry.jpeg);
  try {
    await image.decode();
  } catch {
    entry.part(".frame").hidden = true; // the server will say what is wrong with it
    return;
  }
  image.alt = entry.name;
  entry.part(".size").textContent = `${image.naturalWidth} × ${image.naturalHeight}`;
  entry.card.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) < TINY);
}

function showStages(entry, timing, elapsed) {
  const bar = entry.part(".stage-bar"), list = entry.part(".stages dl");
  const rows = STAGES.map((stage) => [stage, timing[stage]]);
  rows.push(["network", Math.max(0, elapsed - timing.total)]);
  for (const [stage, ms] of rows) {
    const piece = bar.appendChild(document.createElement("span"));
    piece.dataset.stage = stage;
    piece.style.flexGrow = ms;
  }
  for (const [stage, ms] of [...rows, ["in all", elapsed]]) {
    const row = list.appendChild(document.createElement("div"));
    row.dataset.stage = stage;
    row.classList.toggle("total", stage === "in all");
    row.appendChild(document.createElement("dt")).textContent = stage;
    row.appendChild(document.createElement("dd")).textContent = milliseconds(ms);
  }
  entry.part(".stages").hidden = false;
}

function showBars(entry, predictions) {
  const bars = entry.part(".bars");
  bars.setAttribute("aria-label", explains ? "Classes; press one to see where the network found it" : "Classes");
  bars.replaceChildren();
  for (const prediction of predictions) {
    const bar = bars.appendChild(document.createElement("button"));
    bar.type = "button";
    bar.className = "bar";
    bar.disabled = !explains;
    bar.setAttribute("aria-pressed", "false");
    bar.appendChild(document.createElement("span")).className = "label";
    bar.appendChild(document.createElement("span")).className = "score";
    bar.firstChild.textContent = prediction.label;
    bar.lastChild.textContent = scoreText(entry.model, prediction.score);
    bar.addEventListener("click", () => toggleMap(entry, bar, prediction));
    requestAnimationFrame(() => bar.style.setProperty("--score", prediction.score));
  }
  bars.hidden = false;
}

// The likeliest class; of sigmoids all that are likelier than not.
function titleOf(model, predictions) {
  if (isWhole(model)) return predictions[0].label;
  const likely = predictions.filter((prediction) => prediction.score >= DECIDED);
  return likely.map((prediction) => prediction.label).join(", ") || `No class at ${DECIDED} or more`;
}

function showAnswer(entry, answer, elapsed) {
  const [best] = answer.predictions;
  const classes = models.get(answer.model)?.classes ?? 0;
  entry.model = answer.model;
  setState(entry, "done", titleOf(answer.model, answer.predictions));
  showBars(entry, answer.predictions);
  entry.part(".more").textContent = `All ${classes} classes`;
  entry.part(".more").hidden = classes <= answer.predictions.length;
  entry.part(".more").addEventListener("click", () => showAll(entry, classes));
  entry.part(".by").textContent = models.size > 1 ? `by ${answer.model}` : "";
  showStages(entry, answer.timing_ms, elapsed);
  announce(`${entry.name}: ${best.label}, ${scoreText(answer.model, best.score)}`);
}

async function askAbout(entry, call, query, busy) {
  const options = { method: "POST", body: entry.jpeg, signal: entry.leaving.signal };
  return askPatiently(`${call}?${new URLSearchParams(query)}`, options, busy);
}

async function showAll(entry, classes) {
  const known = entry.card.querySelectorAll(".bar").length;
  entry.part(".more").disabled = true;
  try {
    const { answer } = await askAbout(entry, "classify", { top_k: classes, model: entry.model });
    clearMap(entry);
    setState(entry, "done", titleOf(answer.model, answer.predictions));
    showBars(entry, answer.predictions);
    entry.part(".bars").classList.add("all");
    entry.part(".more").hidden = true;
    entry.card.querySelectorAll(".bar")[known].focus();
  } catch (failure) {
    entry.part(".more").disabled = false;
    tell(entry, failure.message);
  }
}

function fail(entry, failure) {
  if (!entry.card.isConnected) return;
  entry.mayPass = failure.mayPass;
  setState(entry, "failed", "Not classified", failure.message);
  announce(`${entry.name}: ${failure.message}`);
  if (failure.code === "model_unknown") showModels();
}

async function classify(entry) {
  try {
    const model = models.get(byId("model").value);
    if (!entry.jpeg) {
      entry.jpeg = await toJpeg(entry.file);
      if (!entry.card.isConnected) return; // removed meanwhile
      await showPicture(entry, model);
    }
    setState(entry, "working", "Looking");
    const query = model ? { top_k: Math.min(SHOWN, model.classes), model: model.name } : {};
    const { answer, elapsed } = await askAbout(entry, "classify", query, () =>
      setState(entry, "working", "The server is busy; waiting"));
    if (entry.card.isConnected) showAnswer(entry, answer, elapsed);
  } catch (failure) {
    fail(entry, failure);
  }
}

// --- where the network looked ---

// What went wrong with a picture that has its answer.
function tell(entry, message) {
  setState(entry, "done", entry.part("h2").textContent, message);
  announce(`${entry.name}: ${message}`);
}

function clearMap(entry) {
  entry.part("canvas").hidden = true;
  entry.part(".scale").hidden = true;
  for (const bar of entry.card.querySelectorAll(".bar")) bar.setAttribute("aria-pressed", "false");
}

function refuseMaps() {
  explains = false;
  for (const bar of document.querySelectorAll(".bar")) bar.disabled = true;
  for (const bars of document.querySelectorAll(".bars")) bars.setAttribute("aria-label", "Classes");
}

async function toggleMap(entry, bar, prediction) {
  const shown = bar.getAttribute("aria-pressed") === "true";
  clearMap(entry);
  setState(entry, "done", entry.part("h2").textContent);
  if (shown) return;
  bar.setAttribute("aria-pressed", "true");
  const query = { class_id: prediction.class_id, format: "json", model: entry.model };
  try {
    entry.maps ??= new Map();
    const known = entry.maps.get(prediction.class_id) ?? (await askAbout(entry, "explain", query)).answer;
    entry.maps.set(prediction.class_id, known);
    if (bar.getAttribute("aria-pressed") !== "true") return; // another was pressed meanwhile
    drawMap(entry.part("canvas"), entry.part("img"), known.grid, models.get(entry.model));
    entry.part(".scale").hidden = false;
    announce(`Map of ${prediction.label} is over the picture`);
  } catch (failure) {
    clearMap(entry);
    const absent = failure.code === "not_found";
    if (absent) refuseMaps();
    tell(entry, absent ? "This server does not draw maps." : failure.message);
  }
}

// --- several pictures ---

function showProgress() {
  const { done, total } = batch;
  byId("overall").hidden = total < 2;
  byId("progress").max = total;
  byId("progress").value = done;
  byId("progress-text").textContent = `${done} of ${total} pictures`;
  if (done !== total) return;
  if (total > 1) announce(`All ${total} pictures are done`);
  batch = { done: 0, total: 0 };
}

async function work() {
  if (working >= AT_A_TIME || waiting.length === 0) return;
  working++;
  while (waiting.length > 0) {
    const entry = waiting.shift();
    if (entry.card.isConnected) await classify(entry);
    batch.done++;
    showProgress();
  }
  working--;
}

function enqueue(entries) {
  waiting.push(...entries);
  batch.total += entries.length;
  showProgress();
  for (let i = 0; i < AT_A_TIME; i++) work();
}

function add(files) {
  const list = byId("results");
  const entries = Array.from(files, makeCard);
  if (entries.length === 0) return;
  list.prepend(...entries.map((entry) => entry.card));
  const finished = list.querySelectorAll('.card:is([data-state="done"], [data-state="failed"])');
  Array.from(finished).slice(Math.max(0, MOST_CARDS - entries.length)).forEach(removeCard);
  document.body.classList.add("has-results");
  enqueue(entries);
}

// --- the page ---

async function showModels() {
  const select = byId("model");
  const chosen = select.value;
  try {
    const answer = await ask("models");
    models.clear();
    select.replaceChildren(...answer.models.map((model) => {
      models.set(model.name, model);
      return new Option(model.name, model.name, model.default, model.default);
    }));
    if (models.has(chosen)) select.value = chosen;
    select.disabled = models.size < 2;
    showFacts();
  } catch (failure) {
    byId("model-facts").textContent = failure.message;
  }
}

function classesText(model) {
  const parts = [model.classes === 1 ? "1 class" : `${model.classes} classes`];
  if (!isWhole(model.name) && model.classes > 1) parts.push("each for itself");
  if (model.labels === "imagenet-1k") parts.push("taken for ImageNet's");
  if (model.labels === "numbers") parts.push("not named");
  return parts.join(", ");
}

function showFacts() {
  const model = models.get(byId("model").value);
  const facts = model && [model.template, classesText(model), model.precision].join(", ");
  byId("model-facts").textContent = facts ?? "";
}

function takeInput(input) {
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
}

function takeDrops() {
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", (event) => { event.preventDefault(); mark(1); });
  addEventListener("dragleave", () => mark(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    add(event.dataTransfer.files);
  });
}

byId("choose").addEventListener("click", () => byId("files").click());
byId("photograph").addEventListener("click", () => byId("camera").click());
byId("model").addEventListener("change", showFacts);
byId("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  sessionStorage.setItem("api-key", byId("key").value);
  byId("key").value = "";
  byId("key-form").hidden = true;
  await showModels();
  if (models.size === 0) return;
  for (const again of document.querySelectorAll(".again:not([hidden])")) again.click();
});
addEventListener("paste", (event) => add(event.clipboardData.files));
takeInput(byId("files"));
takeInput(byId("camera"));
takeDrops();
byId("command").textContent = `curl --data-binary @picture.jpg ${new URL("classify", document.baseURI)}`;
await showModels();
watchServer(showModels);
