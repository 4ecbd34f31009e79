/** A browser for stories: a real one, that was there before, and the few things people do in the console. */
import assert from "node:assert/strict";

import { chromium } from "playwright-core";

/** Where the product runs, and somebody who has an account there. */
export const { REELGRAPH_URL: url, REELGRAPH_EMAIL: email, REELGRAPH_PASSWORD: password } = process.env;

const QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Start a browser for the stories of a file; `faults` collects what must not happen in any of them. */
export async function start() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [...QUIET, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
  });
  const faults = [];
  return {
    faults,
    close: () => browser.close(),
    /** A browser nobody has used yet. */
    async fresh(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      context.setDefaultTimeout(60_000);
      context.on("page", (page) => watch(page, faults));
      return context;
    },
  };
}

/** Open the console in a tab of this browser, and wait until it can be used. */
export async function open(context) {
  const page = await context.newPage();
  await page.goto(`${url}/graphiql`);
  await ready(page);
  return page;
}

export async function ready(page) {
  await page.locator(".graphiql-query-editor .view-line").first().waitFor();
  await page.getByRole("button", { name: /^Execute/ }).waitFor();
}

/** Sign in through the pages that people see. */
export async function signIn(page) {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${url}/graphiql`);
  await ready(page);
  await page.locator(".console-name").waitFor();
}

/** Go to one of the example tabs. */
export async function tab(page, name) {
  await page.getByRole("tab", { name, exact: true }).click();
  await page.waitForFunction((name) => window.__MONACO.editor.getModels().some((each) => each.getValue().includes(` ${name}(`)), name);
}

export const execute = (page) => page.getByRole("button", { name: /^Execute/ }).click();

/** Write into an editor (operation, variables, headers) at once, as pasting does. */
export async function paste(page, editor, text) {
  await page.evaluate(([editor, text]) => model(editor).setValue(text), [editor, text]);
}

/** What stands in an editor (operation, variables, headers, response). */
export const text = (page, editor) => page.evaluate((editor) => model(editor).getValue(), editor);

/** The answer, once it has what is waited for: the root fields' values by name. */
export async function answer(page, condition = (data) => data !== undefined) {
  for (;;) {
    const before = await text(page, "response");
    const { data, errors } = JSON.parse(before || "{}");
    assert.equal(errors, undefined, before);
    if (condition(data)) return data;
    await page.waitForFunction((before) => model("response").getValue() !== before, before).catch(() => assert.fail(`nothing came after ${before}`));
  }
}

/** What is in the headers that a page's next request to the API carries. */
export async function nextRequest(page, act) {
  const [request] = await Promise.all([page.waitForRequest(`${url}/graphql`), act()]);
  return request.headers();
}

function watch(page, faults) {
  page.on("pageerror", (error) => faults.push(`error: ${error.message} ${error.stack}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(`${url}/`)) faults.push(`asked ${request.url()}`);
  });
  void page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
    );
    window.model = (editor) => window.__MONACO.editor.getModels().find((each) => each.uri.path.includes(editor));
  });
}
