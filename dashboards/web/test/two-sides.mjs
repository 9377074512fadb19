// Two browsers on two nodes: one node is cut off, both edit, the cluster heals, both see both.
import assert from "node:assert/strict";
import { add, asked, choose, eventually, line, muster, story, titles, visit } from "./harness.mjs";

await story(async (browser) => {
  muster("--node", "node1", "add", "chores", "sweep");
  await eventually(() => assert.equal(asked("node3", "show", "chores").items.length, 1));
  const [left, right] = [await visit(browser, "node1"), await visit(browser, "node3")];
  for (const page of [left, right]) await choose(page, "chores");

  muster("dev", "split", "node3");
  await right.getByRole("group", { name: /^This node is cut off from all others/ }).waitFor();
  await left.getByRole("group", { name: /^This node reaches a majority of the cluster/ }).waitFor();
  await left.getByRole("row", { name: /node3 down/ }).waitFor();
  await right.getByText("alone · 1 of 3").waitFor();
  await right.getByRole("list", { name: "What needs attention" }).getByText("this node reaches nobody").waitFor();
  await left.getByRole("list", { name: "What needs attention" }).getByText("node3 is down").waitFor();

  await add(left, "polish the bell");
  await add(right, "feed the cat");
  await edit(left, "sweep", "sweep the deck");
  await edit(right, "sweep", "sweep below");
  await line(right, "sweep below").getByRole("checkbox").check();
  await eventually(async () => assert.deepEqual(await titles(left), ["sweep the deck", "polish the bell"]));
  await eventually(async () => assert.deepEqual(await titles(right), ["sweep below", "feed the cat"]));

  muster("dev", "heal");
  for (const page of [left, right]) {
    await page.getByRole("group", { name: /^The cluster is whole again/ }).waitFor();
    await eventually(async () => assert.deepEqual((await titles(page)).slice(1).sort(), ["feed the cat", "polish the bell"]));
    await page.locator(".entry .conflict").first().waitFor();
    await eventually(async () => assert.match(await page.locator(".banner-good").innerText(), /“chores”/));
    assert.equal(await page.locator(".banner-warn").count(), 0);
    const heals = page.getByRole("list", { name: "Heals" });
    await heals.getByText("1 list was written on both sides: chores").waitFor();
    await heals.getByText(/received [0-9]+ changes?, sent [0-9]+ changes?; all lists were the same/).waitFor();
    await heals.getByText(/“sweep (below|the deck)”, title: “sweep .*” by .*, “sweep .*” by /).waitFor();
  }
  await left.getByRole("button", { name: "Ask all members" }).click();
  const matrix = left.getByRole("region", { name: "Who reaches whom" });
  await matrix.getByRole("rowheader", { name: "node3" }).waitFor();
  assert.equal(await matrix.getByText(/ ms$/).count(), 6);
  await left.getByText(/^was apart from node3 for \d+ s$/).waitFor();
  await right.getByText(/^was apart from node1, node2 for \d+ s$/).waitFor();
  const winner = (await titles(left))[0];
  assert.deepEqual(await titles(left), await titles(right));
  assert.match(await line(left, winner).locator(".conflict").innerText(), /in conflict: title/);
  assert.ok(await line(left, winner).getByRole("checkbox").isChecked(), "what only one side has changed is kept");

  await line(left, winner).locator(".title").click();
  // Each value is there with who wrote it, and the one that lost can be taken.
  const loser = winner === "sweep below" ? "sweep the deck" : "sweep below";
  const values = left.locator(".field-title .values li");
  await values.nth(1).waitFor();
  assert.match(await values.nth(0).innerText(), new RegExp(`Keep “${winner}” by .*@node\\d`));
  assert.match(await values.nth(1).innerText(), new RegExp(`Take “${loser}” by .*@node\\d`));
  await left.getByRole("button", { name: `Take “${loser}”` }).click();
  for (const page of [left, right])
    await eventually(async () => assert.equal((await titles(page))[0], loser));
  for (const page of [left, right])
    await eventually(async () => assert.equal(await page.locator(".entry .details .conflict").count(), 0));
  assert.deepEqual(asked("node2", "show", "chores").items[0].conflicts, []);
});

async function edit(page, title, now) {
  await page.getByRole("button", { name: title, exact: true }).click();
  await page.locator("#edit-title").fill(now);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: now, exact: true }).waitFor();
}
