// What the node refuses is told in its words and kept until somebody decides; nothing is lost without a word.
import assert from "node:assert/strict";
import { add, asked, choose, eventually, line, muster, story, titles, visit } from "./harness.mjs";

await story(async (browser) => {
  muster("--node", "node1", "add", "chores", "sweep");
  muster("--node", "node1", "add", "chores", "polish");
  const page = await visit(browser, "node1");
  await choose(page, "chores");

  await line(page, "sweep").locator(".title").click();
  await page.locator("#edit-due").fill("2026-02-30");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("group", { name: "1 change refused by the node" }).waitFor();
  await page.getByText(/Could not change “sweep” in “chores”: .*2026-02-30/).waitFor();
  await line(page, "sweep").getByText("change refused").waitFor();
  await page.getByRole("button", { name: "Discard" }).click();
  await eventually(async () => assert.equal(await page.locator(".banner-bad").count(), 0));

  // Deleted by somebody else while it is edited here.
  await line(page, "polish").locator(".title").click();
  await page.locator("#edit-title").fill("polish the bell");
  const gone = asked("node1", "show", "chores").items.find((entry) => entry.title === "polish");
  await page.route("**/entries/**", async (route) => {
    muster("--node", "node1", "rm", "chores", gone.id);
    await route.continue();
  });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/Could not change “polish” in “chores”/).waitFor();
  await page.unroute("**/entries/**");
  await eventually(async () => assert.deepEqual(await titles(page), ["sweep"]));
  await page.getByRole("button", { name: "Discard" }).click();

  // Changed by somebody else while it is edited here: only what was changed here is written.
  await line(page, "sweep").locator(".title").click();
  await page.locator("#edit-assignee").fill("kim");
  muster(
    "--node",
    "node2",
    "edit",
    "chores",
    asked("node1", "show", "chores").items[0].id,
    "--title",
    "sweep the deck",
    "--priority",
    "high",
  );
  await page.getByText(/has changed title, priority meanwhile/).waitFor();
  await page.getByRole("button", { name: "Show it here" }).click();
  assert.equal(await page.locator("#edit-title").inputValue(), "sweep the deck");
  assert.equal(await page.locator("#edit-assignee").inputValue(), "kim");
  await page.getByRole("button", { name: "Save" }).click();
  await eventually(() => {
    const [entry] = asked("node2", "show", "chores").items;
    assert.deepEqual([entry.title, entry.assignee, entry.priority], ["sweep the deck", "kim", "high"]);
  });

  // What was typed is lost neither by opening another entry, nor by another list, nor when somebody deletes the entry.
  await add(page, "swab");
  await line(page, "swab").locator(".title").click();
  await page.locator("#edit-assignee").fill("robin");
  await line(page, "sweep the deck").locator(".title").click();
  await page.getByText("Save or cancel this entry before you open another one.").waitFor();
  await page.getByLabel("Name of a new list").fill("another");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "another" }).waitFor();
  await choose(page, "chores");
  assert.equal(await page.locator("#edit-assignee").inputValue(), "robin");
  const swab = asked("node1", "show", "chores").items.find((entry) => entry.title === "swab");
  muster("--node", "node2", "rm", "chores", swab.id);
  await page.getByText("“swab” was deleted elsewhere while you edited it.").waitFor();
  await page.getByRole("button", { name: "Add it again, as typed" }).click();
  await eventually(() => {
    const again = asked("node2", "show", "chores").items.find((entry) => entry.title === "swab");
    assert.equal(again?.assignee, "robin");
    assert.notEqual(again.id, swab.id);
  });

  // A disk that is full or busy is not for ever: the page tries again with the same id.
  let refusals = 2;
  await page.route("**/entries", async (route) => {
    if (refusals-- <= 0) return route.continue();
    const problem = {
      type: "/problems/outcome-unknown",
      title: "The outcome is unknown",
      status: 503,
      detail: "retry with the same id",
    };
    await route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(problem) });
  });
  await add(page, "in the end");
  await eventually(() =>
    assert.equal(asked("node1", "show", "chores").items.filter((entry) => entry.title === "in the end").length, 1),
  );
  await page.getByText("live", { exact: true }).waitFor();
});
