// What test_page.py asks of the page: one task a line on standard input, one answer a line back.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { createRequire } from "node:module";

const { chromium } = createRequire(process.env.PLAYWRIGHT_FOLDER + "/")("playwright-core");
const SLOW = Number(process.env.SLOW), LIMIT = 8000 * SLOW;
const SHOTS = process.env.RESNEXT_TEST_SCREENSHOTS;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});

async function open(task, options = {}, prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text()))
      page.complaints.push(message.text());
  });
  await prepare(page);
  await page.goto(task.url);
  await page.waitForFunction(() => !document.getElementById("live-state").textContent.includes("connecting"));
  return page;
}

async function shoot(page, name, fullPage = true) {
  if (SHOTS) await page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage });
}

const file = (task, name) => path.join(task.pictures, name);
const give = (page, ...files) => page.setInputFiles("#files", files);
const card = (page, i = 0) => page.locator(".card").nth(i);
const settled = (page, count = 1) => page.waitForFunction((n) => document.querySelectorAll(
  '.card:is([data-state="done"], [data-state="failed"])').length === n, count);

async function noSideways(page) {
  const [shown, whole] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
  assert.ok(whole <= shown, `the page is ${whole} wide on ${shown}`);
}

const GRID = { rows: 2, cols: 2, values: [0, 0, 0, 8] };

async function explainWith(page, answer, status = 200) {
  page.asked = [];
  await page.route("**/explain?*", (route) => {
    page.asked.push(new URL(route.request().url()).searchParams);
    return route.fulfill({ status, contentType: "application/json", body: JSON.stringify(answer) });
  });
}

const corners = (page) => page.evaluate(() => {
  const canvas = document.querySelector(".card canvas"), { width, height } = canvas;
  const at = (x, y) => Array.from(canvas.getContext("2d").getImageData(x, y, 1, 1).data);
  return { first: at(1, 1), last: at(width - 2, height - 2) };
});

// The map of a card's likeliest class.
async function showMap(page, i = 0) {
  await card(page, i).locator(".bar").first().click();
  await card(page, i).locator("canvas").waitFor({ state: "visible" });
}

async function openMap(task, name) {
  const page = await open(task);
  await give(page, file(task, name));
  await settled(page);
  await showMap(page);
  return page;
}

const tasks = {
  async upload(task) {
    const page = await open(task);
    await shoot(page, "empty");
    await give(page, file(task, "mare.jpg"));
    await settled(page);
    assert.equal(await card(page).locator("h2").textContent(), "horse");
    assert.equal(await card(page).locator(".bar").count(), 5);
    assert.match(await card(page).locator(".bar .score").first().textContent(), /^\d+(\.\d+)? %$/);
    assert.equal(await card(page).locator("img").getAttribute("alt"), "mare.jpg");
    assert.match(await card(page).locator(".size").textContent(), /^32 × 32$/);
    const stages = await card(page).locator("dt").allTextContents();
    assert.deepEqual(stages, ["queue", "decode", "preprocess", "inference", "network", "in all"]);
    const times = await card(page).locator("dd").allTextContents();
    assert.ok(times.every((time) => /^\d+(\.\d+)? ms$/.test(time)), times.join());
    assert.match(await page.locator("#announce").textContent(), /^mare.jpg: horse, /);
    const order = await card(page).locator(".bar").evaluateAll((bars) =>
      bars.map((bar) => Number(bar.style.getPropertyValue("--score"))));
    assert.deepEqual(order, [...order].sort((a, b) => b - a));
    assert.ok(order[0] > 0.9, String(order));
    await noSideways(page);
    await card(page).locator(".remove").click();
    assert.equal(await page.locator(".card").count(), 0);
    return page;
  },

  async failure(task) {
    const page = await open(task);
    await give(page, task.bad, task.text);
    await settled(page, 2);
    assert.equal(await card(page).getAttribute("data-state"), "failed");
    assert.match(await card(page).locator(".message").textContent(), /JPEG/);
    assert.equal(await card(page, 1).getAttribute("data-state"), "failed");
    assert.match(await card(page, 1).locator(".message").textContent(), /cannot read/);
    await page.route("**/classify?*", (route) => route.abort());
    await give(page, file(task, "mare.jpg"));
    await settled(page, 3);
    assert.match(await card(page).locator(".message").textContent(), /cannot be reached/);
    await shoot(page, "failures");
    return page;
  },

  async several(task) {
    const page = await open(task);
    let release;
    const gate = new Promise((resolve) => { release = resolve; });
    let asked = 0;
    await page.route("**/classify?*", async (route) => {
      if (++asked > 2) await gate;
      await route.continue();
    });
    const names = ["mare.jpg", "airliner.jpg", "freighter.jpg", "lorry.jpg", "flowers_422.jpg", "saloon.jpg"];
    await give(page, ...names.map((name) => file(task, name)));
    await page.waitForFunction(() => document.getElementById("progress").value === 2);
    assert.equal(await page.locator("#progress").getAttribute("max"), "6");
    assert.match(await page.locator("#progress-text").textContent(), /^2 of 6/);
    await shoot(page, "progress");
    release();
    await settled(page, 6);
    await page.waitForFunction(() => document.getElementById("progress-text").textContent.startsWith("6 of 6"));
    const titles = await page.locator(".card h2").allTextContents();
    assert.deepEqual(titles, ["horse", "airplane", "ship", "truck", "airplane", "automobile"]);
    assert.deepEqual(await page.locator(".card .name").allTextContents(), names);
    await page.waitForTimeout(700);
    await shoot(page, "several");
    return page;
  },

  async many(task) {
    const page = await open(task);
    const states = () => page.locator(".card").evaluateAll((cards) => cards.map((c) => c.dataset.state));
    await give(page, ...Array(65).fill(file(task, "mare.jpg")));
    await page.waitForFunction(() => document.getElementById("progress-text").textContent === "65 of 65 pictures");
    assert.deepEqual(await states(), Array(65).fill("done"), "none is lost");
    await give(page, file(task, "airliner.jpg"));
    await settled(page, 60);
    assert.equal(await card(page).locator("h2").textContent(), "airplane");
    return page;
  },

  async convert(task) {
    const page = await open(task);
    const sent = page.waitForRequest("**/classify?*");
    await give(page, task.png);
    const body = (await sent).postDataBuffer();
    await settled(page);
    assert.equal(await card(page).locator("h2").textContent(), "horse");
    assert.ok(body === null || body.readUInt16BE(0) === 0xffd8, "not sent as JPEG");
    await give(page, { name: "drawn.svg", mimeType: "image/svg+xml", buffer: Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="48" height="40"><rect width="48" height="40" fill="red"/></svg>') });
    await settled(page, 2);
    assert.equal(await card(page).getAttribute("data-state"), "done");
    assert.equal(await card(page).locator(".size").textContent(), "48 × 40");
    return page;
  },

  async turned(task) {
    const page = await open(task);
    const sent = page.waitForRequest("**/classify?*");
    await give(page, task.turned);
    const body = (await sent).postDataBuffer();
    await settled(page);
    assert.ok(body === null || body.equals(fs.readFileSync(task.turned)), "not sent as it is");
    const shown = await card(page).locator("img").evaluate((image) => [image.clientWidth, image.clientHeight]);
    assert.deepEqual(shown, task.shown);
    if (task.label) assert.equal(await card(page).locator("h2").textContent(), task.label);
    return page;
  },

  async paste_and_drop(task) {
    const page = await open(task);
    const bytes = fs.readFileSync(file(task, "mare.jpg")).toString("base64");
    for (const kind of ["paste", "drop"])
      await page.evaluate(([kind, bytes]) => {
        const data = new DataTransfer();
        const raw = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
        data.items.add(new File([raw], `${kind}.jpg`, { type: "image/jpeg" }));
        const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
          : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
      }, [kind, bytes]);
    await settled(page, 2);
    assert.deepEqual(await page.locator(".card .name").allTextContents(), ["drop.jpg", "paste.jpg"]);
    assert.deepEqual(await page.locator(".card h2").allTextContents(), ["horse", "horse"]);
    return page;
  },

  async map(task) {
    const page = await open(task, {}, (p) => explainWith(p, { grid: GRID }));
    await give(page, file(task, "panorama_wide.jpg"));
    await settled(page);
    const bar = card(page).locator(".bar").nth(1);
    await bar.click();
    await card(page).locator("canvas").waitFor({ state: "visible" });
    assert.equal(await bar.getAttribute("aria-pressed"), "true");
    assert.equal(page.asked[0].get("format"), "json");
    assert.match(page.asked[0].get("class_id"), /^\d+$/);
    const { first, last } = await corners(page);
    assert.ok(last[3] > 3 * first[3], `opacity ${first} and ${last}`);
    assert.ok(last[0] > first[0] + 50, `colour ${first} and ${last}`);
    const [image, map] = [await card(page).locator("img").boundingBox(), await card(page).locator("canvas").boundingBox()];
    assert.ok(Math.abs(map.height - image.height) < 1 && Math.abs(map.width - image.height) < 1, "the crop is the middle square");
    assert.ok(Math.abs(map.x + map.width / 2 - image.x - image.width / 2) < 1, "and is in the middle");
    await shoot(page, "map");
    await card(page).locator(".bar").nth(0).click();
    assert.equal(await bar.getAttribute("aria-pressed"), "false");
    await card(page).locator(".bar").nth(0).click();
    await card(page).locator("canvas").waitFor({ state: "hidden" });
    await bar.click();
    await card(page).locator("canvas").waitFor({ state: "visible" });
    assert.equal(page.asked.length, 2, "a map that is known is not asked for again");
    return page;
  },

  async no_maps(task) {
    const absent = { error: { code: "not_found", message: "there is nothing at /explain", status: 404 } };
    const page = await open(task, {}, (p) => explainWith(p, absent, 404));
    await give(page, file(task, "mare.jpg"));
    await settled(page);
    await card(page).locator(".bar").first().click();
    await card(page).locator(".message").waitFor({ state: "visible" });
    assert.match(await card(page).locator(".message").textContent(), /does not draw maps/);
    assert.equal(await card(page).locator("h2").textContent(), "horse");
    assert.ok(await card(page).locator(".bar").first().isDisabled());
    return page;
  },

  async real_map(task) {
    const page = await openMap(task, "mare.jpg");
    const shades = await page.evaluate(() => {
      const canvas = document.querySelector(".card canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return new Set(data.filter((_, i) => i % 4 === 3)).size;
    });
    assert.ok(shades > 20, `${shades} shades`);
    await shoot(page, "real_map");
    return page;
  },

  async large(task) {
    const page = await open(task, { viewport: { width: 1080, height: 800 } });
    if (task.model) await page.selectOption("#model", task.model);
    await give(page, ...task.files);
    await settled(page, 2);
    assert.deepEqual(await page.locator(".card h2").allTextContents(), task.labels);
    for (const i of task.maps ? [0, 1] : []) {
      await showMap(page, i);
    }
    await page.waitForTimeout(700);
    await noSideways(page);
    await page.mouse.move(0, 0);
    await page.evaluate(() => scrollTo(0, 0));
    await shoot(page, task.shot, false);
    return page;
  },

  async busy(task) {
    const page = await open(task);
    let refused = 0;
    await page.route("**/classify?*", (route) => refused++ > 0 ? route.continue() : route.fulfill({
      status: 503, headers: { "Retry-After": "1" }, contentType: "application/json",
      body: '{"error":{"code":"overloaded","message":"full","status":503}}' }));
    await give(page, file(task, "mare.jpg"));
    await page.waitForFunction(() => /busy/.test(document.querySelector(".card h2").textContent));
    await settled(page);
    assert.equal(await card(page).locator("h2").textContent(), "horse");
    assert.equal(refused, 2);
    const times = await card(page).locator("dd").allTextContents();
    assert.ok(SLOW > 1 || times.every((time) => parseFloat(time) < 1000), `the wait is no network's: ${times}`);
    return page;
  },

  async again(task) {
    const page = await open(task);
    await page.route("**/classify?*", (route) => route.abort());
    await give(page, task.bad, file(task, "mare.jpg"));
    await settled(page, 2);
    await page.unroute("**/classify?*");
    await card(page, 1).locator(".again").focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector('.card[data-state="done"]'));
    assert.equal(await card(page, 1).locator("h2").textContent(), "horse");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Remove mare.jpg");
    await card(page, 0).locator(".again").click();
    await page.waitForFunction(() => /ends early/.test(document.querySelector(".message").textContent));
    assert.equal(await page.locator(".again:visible").count(), 0, "a bad picture stays bad");
    return page;
  },

  async removed(task) {
    const page = await open(task);
    await page.route("**/classify?*", () => {});
    const given_up = page.waitForEvent("requestfailed");
    await give(page, file(task, "mare.jpg"));
    await page.waitForFunction(() => document.querySelector('.card[data-state="working"]'));
    await card(page).locator(".remove").click();
    assert.match((await given_up).url(), /classify/);
    await page.waitForTimeout(100);
    assert.equal(await page.locator("#announce").textContent(), "", "nobody wants to know");
    return page;
  },

  async all_classes(task) {
    const page = await openMap(task, "mare.jpg");
    assert.equal(await card(page).locator(".more").textContent(), "All 10 classes");
    await card(page).locator(".more").click();
    await page.waitForFunction(() => document.querySelectorAll(".bar").length === 10);
    assert.ok(!await card(page).locator(".more").isVisible());
    assert.ok(!await card(page).locator("canvas").isVisible(), "no bar is pressed, so there is no map");
    const labels = await card(page).locator(".bar .label").allTextContents();
    assert.equal(new Set(labels).size, 10);
    assert.equal(await page.evaluate(() => document.activeElement.querySelector(".label").textContent), labels[5]);
    await card(page).locator(".bar").last().click();
    await card(page).locator("canvas").waitFor({ state: "visible" });
    await shoot(page, "all_classes");
    return page;
  },

  // What is removed while it is converted.
  async removed_early(task) {
    const page = await open(task, {}, (p) => p.addInitScript(() => {
      const { createObjectURL, revokeObjectURL } = URL, bitmap = createImageBitmap;
      window.urls = new Set();
      URL.createObjectURL = (blob) => { const url = createObjectURL(blob); urls.add(url); return url; };
      URL.revokeObjectURL = (url) => { urls.delete(url); revokeObjectURL(url); };
      window.converting = 0;
      window.createImageBitmap = async (...words) => {
        converting++;
        await new Promise((resolve) => { window.release = resolve; });
        return bitmap(...words);
      };
    }));
    await give(page, task.png);
    await page.waitForFunction(() => converting === 1);
    await card(page).locator(".remove").click();
    await page.evaluate(() => release());
    await give(page, file(task, "mare.jpg"));
    await settled(page);
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => urls.size), 1, "pictures kept in memory");
    await card(page).locator(".remove").click();
    assert.equal(await page.evaluate(() => urls.size), 0);
    return page;
  },

  async keyboard(task) {
    const page = await open(task, {}, (p) => explainWith(p, { grid: GRID }));
    const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
    const chooser = page.waitForEvent("filechooser");
    for (let i = 0; i < 8 && await focused() !== "Choose pictures"; i++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await (await chooser).setFiles([file(task, "mare.jpg")]);
    await settled(page);
    for (let i = 0; i < 8 && !(await focused()).startsWith("horse"); i++) await page.keyboard.press("Tab");
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
    await page.keyboard.press("Space");
    await card(page).locator("canvas").waitFor({ state: "visible" });
    assert.match(await page.locator("#announce").textContent(), /Map of horse/);
    await page.keyboard.press("Space");
    await card(page).locator("canvas").waitFor({ state: "hidden" });
    for (let i = 0; i < 8 && await focused() !== "×"; i++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".card").count(), 0);
    assert.equal(await focused(), "Choose pictures", "where the focus goes");
    const nameless = await page.evaluate(() => Array.from(document.querySelectorAll("button, select, input, progress"))
      .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).map((e) => e.id));
    assert.deepEqual(nameless, []);
    return page;
  },

  async phone(task) {
    const page = await open(task, { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
      (p) => explainWith(p, { grid: GRID }));
    await noSideways(page);
    assert.ok(await page.locator("#photograph").isVisible(), "no button for the camera");
    assert.equal(await page.locator("#camera").getAttribute("capture"), "environment");
    await shoot(page, "phone_empty", false);
    await page.setInputFiles("#camera", file(task, "flowers_422.jpg"));
    await settled(page);
    await card(page).locator(".bar").first().tap();
    await card(page).locator("canvas").waitFor({ state: "visible" });
    await noSideways(page);
    const small = await page.locator("button:visible").evaluateAll((buttons) =>
      buttons.filter((b) => b.getBoundingClientRect().height < 44).map((b) => b.textContent));
    assert.deepEqual(small, [], "too small for a finger");
    await page.waitForTimeout(700);
    await shoot(page, "phone");
    return page;
  },

  async contrast(task) {
    let page;
    const papers = [];
    for (const colorScheme of ["light", "dark"]) {
      page = await open(task, { colorScheme }, (p) => explainWith(p, { grid: GRID }));
      await give(page, file(task, "landscape_progressive.jpg"), task.pictures + "/../goldens.json");
      await settled(page, 2);
      await showMap(page);
      await page.waitForTimeout(700);
      await shoot(page, colorScheme);
      const weak = await page.evaluate(weakContrast);
      assert.deepEqual(weak, [], colorScheme);
      papers.push(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor));
    }
    assert.notEqual(papers[0], papers[1]);
    return page;
  },

  async stilled(task) {
    const page = await open(task, { reducedMotion: "reduce" });
    await give(page, file(task, "mare.jpg"));
    await settled(page);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    const moving = await page.evaluate(() => Array.from(document.querySelectorAll("*")).filter((e) =>
      getComputedStyle(e).transitionDuration !== "0s").length);
    assert.equal(moving, 0);
    return page;
  },

  async live(task) {
    let page = await open(task);
    await page.waitForFunction(() => /\d+\/\d+ queued, \d+\/\d+ workers busy/.test(
      document.getElementById("live-load").textContent));
    await page.waitForFunction(() => /pictures\/s/.test(document.getElementById("live-load").textContent));
    await page.route("**/health", (route) => route.fulfill({ status: 503, contentType: "application/json",
      body: '{"status":"overloaded","live":true,"ready":false,"queue":{"depth":16,"limit":16},"workers":{"total":2,"busy":2}}' }));
    await page.waitForFunction(() => document.getElementById("live-state").textContent === "overloaded");
    await page.unroute("**/health");
    await page.route("**/metrics", (route) => route.fulfill({ status: 503, body: "" }));
    await page.waitForFunction(() => !/pictures\/s/.test(document.getElementById("live-load").textContent));
    await page.unroute("**/metrics");
    await page.waitForFunction(() => /pictures\/s/.test(document.getElementById("live-load").textContent));
    page = await open(task, {}, (p) => p.route("**/metrics", (route) => route.fulfill({ status: 404, body: "{}" })));
    await page.waitForFunction(() => /workers busy/.test(document.getElementById("live-load").textContent));
    assert.ok(!await page.locator("#metrics-link").isVisible());
    assert.equal(await page.locator("#live").getAttribute("data-state"), "ready");
    await page.route("**/health", (route) => route.fulfill({ status: 503, contentType: "application/json",
      body: '{"status":"draining","live":true,"ready":false,"queue":{"depth":3,"limit":16},"workers":{"total":2,"busy":2}}' }));
    await page.waitForFunction(() => document.getElementById("live").dataset.state === "draining");
    await page.unroute("**/health");
    await page.route("**/health", (route) => route.abort());
    await page.waitForFunction(() => document.getElementById("live").dataset.state === "away");
    await page.unroute("**/health");
    await page.waitForFunction(() => document.getElementById("live").dataset.state === "ready");
    return page;
  },

  async models(task) {
    const page = await open(task);
    assert.deepEqual(await page.locator("#model option").allTextContents(), ["resnext29-cifar10", "second"]);
    const asked = page.waitForRequest("**/classify?*");
    await page.selectOption("#model", "second");
    assert.match(await page.locator("#model-facts").textContent(), /classes/);
    await give(page, file(task, "mare.jpg"));
    assert.equal(new URL((await asked).url()).searchParams.get("model"), "second");
    await settled(page);
    assert.equal(await card(page).getAttribute("data-state"), "done");
    return page;
  },

  async sigmoid(task) {
    const page = await open(task);
    await page.selectOption("#model", "many");
    assert.match(await page.locator("#model-facts").textContent(), /10 classes, each for itself/);
    await give(page, file(task, "mare.jpg"));
    await settled(page);
    const answer = await fetch(new URL("classify?model=many&top_k=5", task.url),
      { method: "POST", body: fs.readFileSync(file(task, "mare.jpg")) });
    const { predictions } = await answer.json();
    const scores = await card(page).locator(".bar .score").allTextContents();
    assert.equal(scores.length, 5);
    scores.forEach((score, i) => assert.ok(Math.abs(Number(score) - predictions[i].score) < 1e-3, score));
    const likely = predictions.filter((p) => p.score >= 0.5).map((p) => p.label).join(", ");
    assert.equal(await card(page).locator("h2").textContent(), likely);
    await page.route("**/classify?*", (route) => route.fulfill({ status: 200, contentType: "application/json",
      body: JSON.stringify({ model: "many", request_id: "1", image: { width: 32, height: 32 },
        predictions: predictions.map((p) => ({ ...p, score: 0.1 })),
        timing_ms: { queue: 0, decode: 0, preprocess: 0, inference: 0, total: 0 } }) }));
    await give(page, file(task, "mare.jpg"));
    await settled(page, 2);
    assert.equal(await card(page).locator("h2").textContent(), "No class at 0.5 or more");
    await shoot(page, "sigmoid");
    return page;
  },

  async closed(task) {
    const page = await open(task);
    await give(page, file(task, "mare.jpg"));
    await settled(page);
    assert.equal(await card(page).getAttribute("data-state"), "failed");
    await page.fill("#key", task.key);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("model-facts").textContent.includes("classes"));
    await page.waitForFunction(() => document.querySelector('.card[data-state="done"]'));
    assert.equal(await card(page).locator("h2").textContent(), "horse");
    assert.ok(!await page.locator("#key-form").isVisible());
    return page;
  },

  async no_metrics(task) {
    const page = await open(task);
    await page.waitForFunction(() => /workers busy/.test(document.getElementById("live-load").textContent));
    assert.ok(!await page.locator("#metrics-link").isVisible());
    await give(page, file(task, "mare.jpg"));
    await settled(page);
    assert.equal(await card(page).locator("h2").textContent(), "horse");
    return page;
  },

  async key(task) {
    const page = await open(task, {}, (p) => p.route("**/models", (route) =>
      route.request().headers().authorization === "Bearer open sesame" ? route.continue()
        : route.fulfill({ status: 401, contentType: "application/json",
          body: '{"error":{"code":"unauthorized","message":"a key is needed","status":401}}' })));
    for (const none of ["schl\u00fcssel \u20ac", "open\u200bsesame"]) {
      await page.fill("#key", none);
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => sessionStorage.getItem("api-key")), null, "no header can hold it");
      assert.ok(await page.locator("#key-form").isVisible());
    }
    await page.fill("#key", "open sesame");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll("#model option").length === 1 &&
      document.getElementById("model-facts").textContent.includes("classes"));
    assert.ok(!await page.locator("#key-form").isVisible());
    return page;
  },
};

// Texts whose contrast with what is behind them is below WCAG 2's 4.5 (3 for large ones).
function weakContrast() {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const weak = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest(".hidden, .skip, template, option, noscript") || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), ink = light(parse(style.color));
    const papers = [paper(e)];
    const bar = e.closest(".bar");
    if (bar) papers.push(parse(getComputedStyle(bar, "::before").backgroundColor));
    const needed = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    for (const p of papers)
      if (ratio(ink, light(p)) < needed) weak.push(`${e.className || e.tagName}: ${ratio(ink, light(p)).toFixed(2)}`);
  }
  return weak;
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  let answer = {};
  try {
    const page = await tasks[task.name](task);
    if (page.complaints.length) answer.error = `the console says: ${page.complaints.join("; ")}`;
  } catch (error) {
    answer.error = error.stack;
  }
  for (const context of browser.contexts()) await context.close();
  console.log(JSON.stringify(answer));
}
await browser.close();
