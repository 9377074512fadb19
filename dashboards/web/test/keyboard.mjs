// All of it by the keyboard alone: find the field, add, tick, edit, move, delete, filter; and what is said meanwhile.
import assert from "node:assert/strict";
import { asked, eventually, muster, story, titles, visit } from "./harness.mjs";

await story(async (browser) => {
  const page = await visit(browser, "node1");
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const focused = () =>
    page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
  const tabTo = async (label) => {
    for (let steps = 0; steps < 60; steps++) {
      if (label.test(await focused())) return;
      await press("Tab");
    }
    assert.fail(`the Tab key never comes to ${label}; it is at ${await focused()}`);
  };
  const said = (words) => eventually(async () => assert.match(await page.locator("#spoken").innerText(), words));

  await tabTo(/^Name of a new list$/);
  await page.keyboard.type("by hand");
  await press("Enter");
  await eventually(async () => assert.match(await focused(), /^Add to by hand$/));
  for (const title of ["one", "two", "three"]) {
    await page.keyboard.type(title);
    await press("Enter");
    await said(new RegExp(`Added ${title}`));
  }
  await eventually(() => assert.deepEqual(order(), ["one", "two", "three"]));

  await tabTo(/^one: done$/);
  await press("Space");
  await said(/^one: done$/);
  await eventually(() => assert.ok(asked("node1", "show", "by hand").items[0].done));

  await tabTo(/^Move three$/);
  await press("ArrowUp");
  await said(/^three: place 2 of 3$/);
  assert.equal(await focused(), "Move three", "what is moved keeps the focus");
  await eventually(() => assert.deepEqual(order(), ["one", "three", "two"]));
  await press("Home");
  await said(/^three: place 1 of 3$/);
  await eventually(() => assert.deepEqual(order(), ["three", "one", "two"]));
  await press("End", "ArrowUp");
  await eventually(() => assert.deepEqual(order(), ["one", "three", "two"]));
  // Many within a second, which is as exact as the times of changes are: none is taken for the one before.
  for (let times = 0; times < 20; times++) {
    await press("Home", "End", "ArrowUp");
    await eventually(() => assert.deepEqual(order(), ["one", "three", "two"]));
  }
  assert.equal(await focused(), "Move three");
  await eventually(async () => assert.deepEqual(await titles(page), ["one", "three", "two"]));

  await tabTo(/^two$/);
  await press("Enter");
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement?.id), "edit-title"));
  await press("End");
  await page.keyboard.type(" and a half");
  await press("Tab");
  await page.keyboard.type("2026-12-24");
  await press("Enter");
  await eventually(async () => assert.equal(await focused(), "two and a half"), "the focus goes back to the entry");
  await eventually(() => assert.equal(asked("node2", "show", "by hand").items[2].due, "2026-12-24"));

  await press("Enter");
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement?.id), "edit-title"));
  await page.keyboard.type("never kept");
  await press("Escape");
  await eventually(async () => assert.equal(await focused(), "two and a half"));
  await press("Enter");
  await tabTo(/^Delete$/);
  await press("Enter");
  await said(/Press again/);
  await press("Enter");
  await said(/Deleted two and a half/);
  await eventually(() => assert.deepEqual(order(), ["one", "three"]));

  await page.locator("#add-title").focus();
  await tabTo(/^Open$/);
  await press("Space");
  await eventually(async () => assert.deepEqual(await titles(page), ["three"]));
  await tabTo(/^Find in titles/);
  await page.keyboard.type("nothing like it");
  await page.getByText("No entry matches the filter.").waitFor();

  muster("dev", "kill", "node3");
  await said(/node3 is down|reaches a majority/);
  // What somebody has to look at comes first.
  const first = page.locator(".members tbody th").first();
  await eventually(async () => assert.equal(await first.textContent(), "node3"));
});

function order() {
  return asked("node1", "show", "by hand").items.map((entry) => entry.title);
}
