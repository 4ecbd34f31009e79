/** Signing in to the console, staying signed in, and leaving. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { answer, email, execute, nextRequest, open, password, paste, ready, signIn, start, tab, text, url } from "./browser.js";

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

const ACCESS = "reelgraph.access-token";
const REFRESH = "reelgraph.refresh-token";
const accessToken = (page) => page.evaluate((key) => JSON.parse(sessionStorage.getItem(key)).token, ACCESS);

/** Make the server refuse this tab's access token, of which the tab itself still thinks well. */
const spoil = (page) =>
  page.evaluate((key) => sessionStorage.setItem(key, JSON.stringify({ token: "spoilt", goodUntil: Date.now() + 9e5 })), ACCESS);

const expire = (page) => page.evaluate((key) => sessionStorage.removeItem(key), ACCESS);

test("a stranger can read the schema, and is offered to sign in", async () => {
  context = await browser.fresh();
  const page = await open(context);
  const headers = await nextRequest(page, () => page.reload());
  assert.equal(headers.authorization, undefined);
  await ready(page);
  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  await page.getByRole("link", { name: "Mutation" }).waitFor();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await paste(page, "operation.graphql", "{ viewer { name } }");
  await paste(page, "variables.json", "");
  await execute(page);
  assert.deepEqual(await answer(page), { viewer: null });
});

test("who signs in comes back to the console, with their name shown and nothing of it in the address", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  assert.equal(page.url(), `${url}/graphiql`);
  assert.equal(await page.locator(".console-name").getAttribute("title"), email);
  await paste(page, "operation.graphql", "{ viewer { email } }");
  await paste(page, "variables.json", "");
  await execute(page);
  assert.deepEqual(await answer(page), { viewer: { email } });
});

test("somebody new registers on the way, and is signed in", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Create an account" }).click();
  await page.getByLabel("Name").fill("Grace Hopper");
  await page.getByLabel("E-mail address").fill(`grace-${Date.now()}@example.org`);
  await page.getByLabel("Password").fill("nanoseconds of wire");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL(`${url}/graphiql`);
  assert.equal((await page.locator(".console-name").textContent()).trim(), "Grace Hopper");
});

test("an answer that nobody here asked for signs nobody in", async () => {
  context = await browser.fresh();
  const page = await context.newPage();
  await page.goto(`${url}/graphiql/callback?code=stolen&state=guessed&iss=${encodeURIComponent(url)}`);
  await page.getByRole("alert").getByText("not the end of a sign-in that began here").waitFor();
  assert.equal(page.url(), `${url}/graphiql`);
  await page.getByRole("button", { name: "Sign in" }).waitFor();
});

test("a token that the server refuses is renewed once, and the request goes through", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  await paste(page, "operation.graphql", "{ viewer { email } }");
  await paste(page, "variables.json", "");
  await spoil(page);
  const statuses = [];
  page.on("response", (response) => {
    if (response.request().method() === "POST") statuses.push(`${response.status()} ${new URL(response.url()).pathname}`);
  });
  await execute(page);
  assert.deepEqual(await answer(page), { viewer: { email } });
  assert.deepEqual(statuses, ["401 /graphql", "200 /oauth/token", "200 /graphql"]);
});

test("a socket whose token is refused is opened again with a fresh one", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  await execute(page);
  await answer(page, (data) => data?.createProject.__typename === "Project");
  await tab(page, "StartPause");
  await execute(page);
  const { startPause } = await answer(page, (data) => data?.startPause.__typename === "Job");
  await tab(page, "ProjectEvents");
  await spoil(page);
  await execute(page);
  await answer(page, (data) => data?.projectEvents.subject?.id === startPause.id);
  assert.notEqual(await accessToken(page), "spoilt");
});

test("tabs share the sign-in, and renew their tokens at the same moment without looking like thieves", async () => {
  context = await browser.fresh();
  const first = await open(context);
  await signIn(first);
  const pages = [first, await open(context), await open(context)];
  await Promise.all(pages.map((page) => page.locator(".console-name").waitFor()));
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(pages.map(expire));
    await Promise.all(pages.map((page) => page.reload()));
    await Promise.all(pages.map((page) => page.locator(".console-name").waitFor()));
  }
  const tokens = await Promise.all(pages.map(accessToken));
  assert.equal(new Set(tokens).size, 3);
});

test("a reload in the middle of a renewal, whose answer is lost, signs nobody out", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  const spent = await page.evaluate((key) => localStorage.getItem(key), REFRESH);
  await page.route("**/oauth/token", async (route) => {
    await route.fetch(); // the server has renewed it …
    await route.abort(); // … and nobody has heard of it
  });
  await expire(page);
  await Promise.all([page.waitForEvent("requestfailed"), page.reload()]);
  await page.unrouteAll({ behavior: "wait" });
  assert.equal(await page.evaluate((key) => localStorage.getItem(key), REFRESH), spent);
  browser.faults.length = 0; // what failed is said on the browser's console

  await page.reload();
  await page.locator(".console-name").waitFor();
  assert.notEqual(await page.evaluate((key) => localStorage.getItem(key), REFRESH), spent);
});

test("a sign-in that was ended elsewhere ends here as well", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  const elsewhere = await context.newPage();
  await elsewhere.goto(`${url}/oauth/sign-out`);
  await elsewhere.getByRole("button", { name: "Sign out" }).click();
  await elsewhere.getByLabel("Password").waitFor();
  await expire(page);
  await page.reload();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate((key) => localStorage.getItem(key), REFRESH), null);
});

test("a token in the headers' editor counts instead of ours", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  await paste(page, "request-headers.json", '{ "authorization": "Bearer mine" }');
  const headers = await nextRequest(page, () => execute(page));
  assert.equal(headers.authorization, "Bearer mine");
  await page.waitForFunction(() => model("response").getValue().includes("The access token is not valid"));
  assert.equal(await page.locator(".console-name").count(), 1);
});

test("signing out forgets the tokens in all tabs, and leads to where the sign-in itself is ended", async () => {
  context = await browser.fresh();
  const page = await open(context);
  await signIn(page);
  const other = await open(context);
  await other.locator(".console-name").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${url}/oauth/sign-out`);
  await other.getByRole("button", { name: "Sign in" }).waitFor();
  const left = await other.evaluate(([access, refresh]) => [sessionStorage.getItem(access), localStorage.getItem(refresh)], [ACCESS, REFRESH]);
  assert.deepEqual(left, [null, null]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Password").waitFor();
  // Without the cookie there is no way back but the password.
  await other.getByRole("button", { name: "Sign in" }).click();
  await other.getByLabel("Password").fill(password);
});

test("whoever opened the console at another address of the server signs in at the public one", async () => {
  context = await browser.fresh();
  const page = await context.newPage();
  await page.goto(`${url.replace("127.0.0.1", "localhost")}/graphiql`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("E-mail address").waitFor();
  assert.equal(new URL(page.url()).origin, url);
  browser.faults.length = 0; // it did ask another address, and was meant to
});
