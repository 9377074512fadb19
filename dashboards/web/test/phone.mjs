// On a phone: nothing is wider than the screen, fingers hit what they aim at, and all parts can be reached.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { add, choose, eventually, muster, story, titles, visit } from "./harness.mjs";

const LONG = `Ask the yard about the rudder bearing, ${"and about the paint ".repeat(8)}${"W".repeat(200)}`;

await story(async (browser) => {
  muster(
    "--node",
    "node1",
    "add",
    "a rather long name of a list that goes on for a while",
    LONG,
    "--tag",
    "x".repeat(60),
    "--tag",
    "yard",
    "--due",
    "today",
    "--priority",
    "high",
  );
  muster("--node", "node1", "add", "chores", "sweep");
  const page = await visit(browser, "node1", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  await choose(page, "a rather long name of a list that goes on for a while");
  await eventually(async () => assert.equal((await titles(page)).length, 1));
  await fits(page);
  await page.getByRole("button", { name: LONG, exact: true }).tap();
  await page.locator("#edit-title").waitFor();
  await fits(page);
  await targets(page);
  await page.getByRole("button", { name: "Cancel" }).tap();
  await choose(page, "chores");
  await add(page, "by thumb");
  await eventually(async () => assert.deepEqual(await titles(page), ["sweep", "by thumb"]));

  const tabs = page.getByRole("navigation", { name: "Parts of the page" });
  await tabs.getByRole("button", { name: "Cluster" }).tap();
  await page.getByRole("img", { name: /3 members/ }).waitFor();
  assert.ok(!(await page.locator(".entries").isVisible()));
  await fits(page);
  await targets(page);
  await tabs.getByRole("button", { name: "Activity" }).tap();
  await page.getByText("list “chores” was changed").first().waitFor();
  await fits(page);
  await targets(page);

  await much(browser);
});

/** Many lists and many entries widen nothing, and leave the tabs where a thumb reaches them. */
async function much(browser) {
  for (let list = 1; list <= 65; list += 1) muster("--node", "node1", "add", `list ${list}`, "x");
  const input = Array.from({ length: 2_000 }, (_, entry) => `entry ${entry}`).join("\n");
  const words = ["--node", "node1", "add", "much", "-", "--note", "read by nobody", "--due", "2020-01-01"];
  execFileSync(process.env.MUSTER, words, { input, stdio: ["pipe", "ignore", "inherit"] });
  const page = await visit(browser, "node1", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  await choose(page, "much");
  const entries = page.locator(".entries .entry");
  await eventually(async () => assert.equal(await entries.count(), 300));
  await page.getByRole("button", { name: "Show more of 2000" }).tap();
  await eventually(async () => assert.equal(await entries.count(), 600));
  const names = await page.locator(".names .name").allTextContents();
  assert.equal(names.filter((name) => name.startsWith("list ")).length, 65);
  assert.ok(names.indexOf("list 2") < names.indexOf("list 10"), "names are not in the order in which people read them");
  await fits(page);
  const tabs = page.getByRole("navigation", { name: "Parts of the page" });
  for (const part of ["Cluster", "Activity", "Lists"]) {
    const { x, y, width, height } = await tabs.getByRole("button", { name: part }).boundingBox();
    assert.ok(x >= 0 && x + width <= 390 && y + height <= 845, `${part} is at ${x} ${y}, ${width} wide`);
    await tabs.getByRole("button", { name: part }).tap();
    await fits(page);
  }
}

async function fits(page) {
  const [scrollWidth, clientWidth] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  const wide = await page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
      .map((element) => element.outerHTML.slice(0, 120)),
  );
  assert.equal(scrollWidth, clientWidth, `the page scrolls sideways: ${wide.join("\n")}`);
}

/** What can be tapped is at least 44 px high, but for what stands in a line of text. */
async function targets(page) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, input, select, .tick")]
      .filter((element) => element.checkVisibility() && !element.matches(".small, .tag, .choice button, .tick input"))
      .map((element) => [
        element.textContent || element.getAttribute("aria-label") || element.className,
        Math.round(element.getBoundingClientRect().height),
      ])
      .filter(([, height]) => height < 44),
  );
  assert.deepEqual(small, []);
}
