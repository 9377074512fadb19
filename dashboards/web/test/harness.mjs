// What the stories share: Chromium, a cluster that `muster dev` runs (in $MUSTER_DEV_DIR, by the program $MUSTER), and what
// must hold in each of them: no request to elsewhere, nothing against the page's policy, no error of its own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

/** How long anything may take on a busy machine. Not a claim about speed. */
export const PATIENCE_MS = 60_000;
const FLAGS = [
  "--no-sandbox",
  "--headless",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Runs `muster` with these words; gives what it printed. */
export function muster(...words) {
  return execFileSync(process.env.MUSTER, words, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

/** Asks a node's socket for JSON by the command line. */
export function asked(node, ...words) {
  return JSON.parse(muster("--node", node, "--json", ...words).split("\n")[0]);
}

/** A new link to a node's page. */
export function link(node) {
  return asked(node, "web").url;
}

/** Tries until it succeeds. */
export async function eventually(attempt) {
  const begun = Date.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() - begun > PATIENCE_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const seen = [];

/** A browser of its own: no storage is shared with others. */
export async function own(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  return context;
}

/** A browser of its own on a node's page. */
export async function visit(browser, node, options = {}) {
  const page = await (await own(browser, options)).newPage();
  const url = link(node);
  watch(page, new URL(url).origin);
  const response = await page.goto(url);
  assert.equal(response.status(), 200);
  await page.getByRole("heading", { level: 1, name: `Muster on ${node}` }).waitFor();
  return page;
}

/** Notes what a page must not do. */
export function watch(page, origin) {
  page.on("request", (request) => {
    const isOurs = request.url().startsWith(`${origin}/`) || request.url().startsWith("data:");
    if (!isOurs) seen.push(`a request to ${request.url()}`);
  });
  page.on("pageerror", (error) => seen.push(`an error of the page: ${error.stack}`));
  page.on("console", (message) => {
    const text = message.text();
    // That a node does not answer, or refuses, is no fault of the page.
    if (["error", "warning"].includes(message.type()) && !text.startsWith("Failed to load resource"))
      seen.push(`the browser says: ${text}`);
  });
}

/** Opens a list that the page knows. */
export async function choose(page, list) {
  await page
    .getByRole("navigation", { name: "Lists" })
    .getByRole("button", { name: new RegExp(`^${list.replace(/[^\w ]/g, "\\$&")}\\s*,`) })
    .click();
  await page.getByRole("heading", { level: 2, name: list, exact: true }).waitFor();
}

/** The titles that the page shows, in order. */
export function titles(page) {
  return page.locator(".entries .title").allTextContents();
}

/** An entry's line. */
export function line(page, title) {
  return page.locator(".entry").filter({ has: page.getByRole("button", { name: title, exact: true }) });
}

/** Adds entries by typing. */
export async function add(page, ...all) {
  for (const title of all) {
    await page.locator("#add-title").fill(title);
    await page.keyboard.press("Enter");
  }
}

/** Runs a story. It fails when one of its pages did what none may. */
export async function story(tell) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  try {
    await tell(browser);
    assert.deepEqual(seen, []);
  } finally {
    await browser.close();
  }
}
