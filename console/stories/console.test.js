/** The main job, done in GraphiQL, and what the page is made of. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { answer, execute, open, paste, signIn, start, tab, text } from "./browser.js";

let browser;
let context;

before(async () => {
  browser = await start();
});

after(() => browser.close());

afterEach(async () => {
  await context.close();
  assert.deepEqual(browser.faults.splice(0), []);
});

const tabNames = (page) => page.getByRole("tab").evaluateAll((tabs) => tabs.map((each) => each.firstChild.textContent));

const job = (data) => data?.job ?? {};

/** Every value that the bar below the answer shows from now on. */
async function recordBar(page) {
  await page.evaluate(() => {
    window.shown = [];
    const look = () => {
      const bar = document.querySelector(".console-progress");
      const shown = bar && `${bar.dataset.state} ${bar.querySelector("progress").value}`;
      if (shown && shown !== window.shown.at(-1)) window.shown.push(shown);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  return () => page.evaluate(() => window.shown.map((each) => [each.split(" ")[0], Number(each.split(" ")[1])]));
}

test("a pause moves live, from nothing to COMPLETED, in a project made a moment before", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  await execute(page);
  const { createProject } = await answer(page, (data) => data?.createProject.__typename === "Project");

  await tab(page, "StartPause");
  assert.deepEqual(JSON.parse(await text(page, "variables.json")), { projectId: createProject.id, seconds: 20 });
  await paste(page, "variables.json", JSON.stringify({ projectId: createProject.id, seconds: 4 }));
  await execute(page);
  const { startPause } = await answer(page, (data) => data?.startPause.__typename === "Job");

  await tab(page, "WatchJob");
  assert.deepEqual(JSON.parse(await text(page, "variables.json")), { jobId: startPause.id });
  const shown = await recordBar(page);
  await execute(page);
  const last = job(await answer(page, (data) => job(data).state === "COMPLETED"));
  assert.equal(last.progress.fraction, 1);
  await page.getByRole("button", { name: /^Execute/ }).waitFor(); // the subscription has completed

  const bar = await shown();
  assert.deepEqual(bar.at(-1), ["COMPLETED", 1]);
  const fractions = bar.map(([, fraction]) => fraction);
  assert.deepEqual(fractions, fractions.toSorted((a, b) => a - b));
  assert.ok(new Set(fractions).size >= 4, `it moved only so often: ${fractions}`);
});

test("the example tabs make a video without an upload, from the empty project to the download", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  await execute(page);
  const { createProject } = await answer(page, (data) => data?.createProject.__typename === "Project");

  await tab(page, "CreateUpload");
  await execute(page);
  const { createUpload } = await answer(page, (data) => data?.createUpload);
  assert.equal(createUpload.__typename, "Upload");

  await tab(page, "SetTimeline");
  const variables = JSON.parse(await text(page, "variables.json"));
  assert.equal(variables.projectId, createProject.id);
  if (process.env.SCREENSHOT) lengthen(variables.timeline);
  await paste(page, "variables.json", JSON.stringify(variables, null, 2));
  await execute(page);
  const { setTimeline } = await answer(page, (data) => data?.setTimeline);
  assert.equal(setTimeline.__typename, "Project", JSON.stringify(setTimeline));

  await tab(page, "StartRender");
  await execute(page);
  const { startRender } = await answer(page, (data) => data?.startRender);
  assert.equal(startRender.__typename, "Job", JSON.stringify(startRender));

  await tab(page, "WatchJob");
  await execute(page);
  if (process.env.SCREENSHOT) {
    await answer(page, (data) => job(data).progress?.fps && job(data).progress.fraction > 0.4);
    await page.screenshot({ path: process.env.SCREENSHOT, animations: "disabled" });
  }
  const last = job(await answer(page, (data) => ["COMPLETED", "FAILED"].includes(job(data).state)));
  assert.equal(last.state, "COMPLETED", JSON.stringify(last.error));
  const video = await fetch(last.asset.downloadUrl);
  assert.equal(video.status, 200);
  assert.equal(video.headers.get("content-type"), "video/mp4");
});

test("tabs and what was written in them are there after a reload, and the examples do not come twice", async () => {
  context = await browser.fresh();
  const page = await open(context);
  const names = ["CreateProject", "CreateUpload", "SetTimeline", "StartRender", "WatchJob", "StartPause", "ProjectEvents", "WatchQueues"];
  assert.deepEqual(await tabNames(page), names);
  await paste(page, "variables.json", '{ "name": "Kept" }');
  await page.waitForFunction(() => localStorage.getItem("graphiql:tabState")?.includes("Kept"));
  await page.reload();
  await page.waitForFunction(() => window.__MONACO && model("variables.json")?.getValue().includes("Kept"));
  assert.deepEqual(await tabNames(page), names);
});

test("the explorer builds an operation by clicks", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await paste(page, "operation.graphql", "");
  await page.getByRole("button", { name: "Show GraphiQL Explorer" }).click();
  const field = page.locator(".graphiql-explorer-root [data-field-name='viewer'], .graphiql-explorer-root .graphiql-explorer-node").first();
  await field.waitFor();
  await page.locator(".graphiql-explorer-root").getByText("viewer", { exact: true }).click();
  await page.waitForFunction(() => /viewer/.test(model("operation.graphql").getValue()));
});

test("the workers run: a field that does not exist is marked where it stands", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await paste(page, "operation.graphql", "{ viewer { nmae } }");
  await page.waitForFunction(() => window.__MONACO.editor.getModelMarkers({}).some((each) => each.message.includes("nmae")));
  await paste(page, "variables.json", "{ broken");
  await page.waitForFunction(() => window.__MONACO.editor.getModelMarkers({}).some((each) => each.resource.path.endsWith("variables.json")));
});

test("the policy forbids what is not ours: other scripts, inline scripts, evaluation, other servers", async () => {
  context = await browser.fresh();
  const page = await open(context);
  const violated = await page.evaluate(async () => {
    const seen = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      seen.push(event.effectiveDirective);
      event.stopImmediatePropagation();
    }, { capture: true });
    const add = (script) => document.body.append(Object.assign(document.createElement("script"), script));
    add({ textContent: "window.inline = true" });
    add({ src: "https://example.org/a.js" });
    setTimeout("window.evaluated = true", 0);
    await fetch("https://example.org/").catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { seen: seen.sort(), ran: [window.inline, window.evaluated] };
  });
  assert.deepEqual(violated, { seen: ["connect-src", "script-src", "script-src-elem", "script-src-elem"], ran: [undefined, undefined] });
  browser.faults.length = 0; // what we provoked is said on the browser's console too
});

for (const colorScheme of ["light", "dark"]) {
  test(`a ${colorScheme} system gets a ${colorScheme} console`, async () => {
    context = await browser.fresh({ colorScheme });
    const page = await open(context);
    const lightness = (selector) =>
      page.locator(selector).first().evaluate((element) => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = getComputedStyle(element).backgroundColor;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
        return (red + green + blue) / 3;
      });
    for (const selector of [".console-header", ".graphiql-container", ".graphiql-editors"]) {
      const isLight = (await lightness(selector)) > 127;
      assert.equal(isLight, colorScheme === "light", selector);
    }
    assert.equal((await page.locator(".monaco-editor.vs-dark").count()) > 0, colorScheme === "dark");
  });
}

/** So long that somebody can look at it while it is made. */
function lengthen({ canvas, tracks }) {
  Object.assign(canvas, { width: 1920, height: 1080 });
  for (const { content } of tracks[0].clips) content.text.length = 750;
}
