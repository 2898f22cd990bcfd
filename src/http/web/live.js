// What the server is doing: its health, and by its metrics, where they are open, how fast it is.
const EVERY_MS = 3000;
const SAMPLES = 40;

const byId = (id) => document.getElementById(id);
const history = [];
let last = null;        // { images, at }
let hasMetrics = true;  // until they turn out to be elsewhere

function sum(text, name) {
  const line = new RegExp(`^${name}(?:\\{[^\\n]*\\})? (\\S+)$`, "gm");
  return Array.from(text.matchAll(line)).reduce((total, match) => total + Number(match[1]), 0);
}

// How many pictures there have been; undefined where that is not told.
async function pictures() {
  const answer = hasMetrics ? await fetch("metrics", { cache: "no-store" }) : { ok: false };
  hasMetrics &&= answer.ok || answer.status >= 500; // a 503 may pass
  byId("metrics-link").hidden = !hasMetrics;
  return answer.ok ? sum(await answer.text(), "resnextd_images_total") : undefined;
}

async function health() {
  const answer = await fetch("health", { cache: "no-store" });
  const { status = "unknown", queue, workers } = await answer.json();
  return { state: status, ...queue, busy: workers?.busy, workers: workers?.total };
}

function throughput(images) {
  if (images === undefined) return null;
  const now = { images, at: performance.now() };
  const before = last;
  last = now;
  if (!before || images < before.images) return null; // the server was started anew
  return (images - before.images) / ((now.at - before.at) / 1000);
}

function showSpark(rate) {
  history.push(rate);
  if (history.length > SAMPLES) history.shift();
  const most = Math.max(1, ...history);
  const points = history.map((value, i) =>
    `${100 * (SAMPLES - history.length + i) / (SAMPLES - 1)},${23 - 22 * value / most}`);
  byId("spark").firstElementChild.setAttribute("points", points.join(" "));
  byId("spark").toggleAttribute("hidden", history.length < 2);
}

function show({ state, images, depth, limit, busy, workers }) {
  const rate = throughput(images);
  const parts = [];
  if (rate !== null) parts.push(`${rate.toFixed(rate < 10 ? 1 : 0)} pictures/s`);
  if (limit !== undefined) parts.push(`${depth}/${limit} queued`);
  if (workers !== undefined) parts.push(`${busy}/${workers} workers busy`);
  byId("live").dataset.state = state;
  byId("live-state").textContent = state.replaceAll("_", " ");
  byId("live-load").textContent = parts.join(", ");
  byId("live-load").hidden = parts.length === 0;
  if (rate !== null) showSpark(rate);
}

function showAway() {
  last = null;
  byId("live").dataset.state = "away";
  byId("live-state").textContent = "not reachable";
  byId("live-load").hidden = true;
}

// Asks while the page is looked at; `returned` is called when the server is back after an absence.
export function watchServer(returned) {
  const look = async () => {
    if (!document.hidden) {
      const wasAway = byId("live").dataset.state === "away";
      try {
        const [now, images] = await Promise.all([health(), pictures()]);
        show({ ...now, images });
        if (wasAway) returned();
      } catch {
        showAway();
      }
    }
    setTimeout(look, EVERY_MS);
  };
  look();
}
