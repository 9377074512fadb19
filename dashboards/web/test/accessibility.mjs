// axe-core finds nothing to complain about, in light and in dark, at a desk and on a phone, in each state of the page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { add, choose, eventually, line, muster, story, visit } from "./harness.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LOOKS = [
  { colorScheme: "light" },
  { colorScheme: "dark" },
  { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  { colorScheme: "dark", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
];

await story(async (browser) => {
  muster("--node", "node1", "add", "chores", "sweep", "--due", "today", "--priority", "high", "--tag", "deck", "--note", "twice");
  muster("--node", "node1", "add", "chores", "polish", "--due", "2020-01-01", "--priority", "low");
  await eventually(() => muster("--node", "node3", "show", "chores"));
  for (const look of LOOKS) {
    const page = await visit(browser, "node3", look);
    await choose(page, "chores");
    await page.getByRole("button", { name: "sweep", exact: true }).waitFor();
    await clean(page, "at rest");
    await line(page, "sweep").locator(".title").click();
    await page.locator("#edit-notes").waitFor();
    await clean(page, "with the editor");
    await page.keyboard.press("Escape");
    for (const part of ["Cluster", "Activity", "Lists"]) {
      const tab = page.getByRole("navigation", { name: "Parts of the page" }).getByRole("button", { name: part });
      if (!(await tab.isVisible())) continue;
      await tab.click();
      await clean(page, part);
    }
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Open this page by a link" }).waitFor();
    await clean(page, "signed out");
    await page.context().close();
  }

  const [light, dark] = [await visit(browser, "node3", LOOKS[0]), await visit(browser, "node3", LOOKS[1])];
  muster("dev", "split", "node3");
  for (const page of [light, dark]) {
    await page.locator(".banner-warn").waitFor();
    await clean(page, "cut off");
  }
  muster("dev", "kill", "node3");
  for (const page of [light, dark]) {
    await page.locator(".banner-bad").waitFor();
    await add(page, "not saved");
    await page.getByText("not saved yet").first().waitFor();
    await clean(page, "without the node");
  }
});

async function clean(page, where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  const words = violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n")}`,
  );
  assert.deepEqual(words, [], where);
}
