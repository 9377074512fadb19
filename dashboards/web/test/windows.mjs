// Many windows of one node: two have streams, the others say why they wait and take over; a tab that nobody looks at gives its
// connections back, and goes on where it was.
import assert from "node:assert/strict";
import { add, asked, eventually, link, muster, own, story, titles, watch } from "./harness.mjs";

await story(async (browser) => {
  muster("--node", "node1", "add", "chores", "sweep");
  const context = await own(browser);
  const pages = [];
  for (let number = 0; number < 4; number++) {
    const page = await context.newPage();
    await page.clock.install();
    const url = link("node1");
    watch(page, new URL(url).origin);
    await page.goto(url);
    pages.push(page);
    if (number < 2) await page.getByRole("button", { name: "sweep", exact: true }).waitFor();
  }
  const [first, second, third] = pages;
  await third.getByText("This page is open in other windows").waitFor();

  const resumed = [];
  first.on("request", (request) => request.headers()["last-event-id"] && resumed.push(new URL(request.url()).pathname));
  await look(first, true);
  await first.clock.fastForward(31_000);
  await third.getByRole("button", { name: "sweep", exact: true }).waitFor();
  assert.equal(await third.getByText("This page is open in other windows").count(), 0);
  await add(third, "from the third");
  await eventually(() => assert.equal(asked("node1", "show", "chores").items.length, 2));
  await eventually(async () => assert.deepEqual(await titles(second), ["sweep", "from the third"]));
  assert.deepEqual(await titles(first), ["sweep"], "nobody looks at it");

  await second.close();
  await pages[3].getByRole("button", { name: "from the third", exact: true }).waitFor();
  await pages[3].close();
  await look(first, false);
  await eventually(async () => assert.deepEqual(await titles(first), ["sweep", "from the third"]));
  assert.deepEqual(resumed.sort(), ["/v1/events", "/v1/lists/chores/watch"]);
});

/** What a browser does when a tab is covered by another one, or shown again. */
async function look(page, hidden) {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}
