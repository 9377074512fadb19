// The daemon is killed and started again while the page is open: what is done meanwhile is kept and saved, once.
import assert from "node:assert/strict";
import { add, asked, choose, eventually, line, muster, story, titles, visit } from "./harness.mjs";

await story(async (browser) => {
  muster("--node", "node2", "add", "chores", "sweep");
  const page = await visit(browser, "node2");
  await choose(page, "chores");
  // What the page has not read yet it cannot show without the node.
  await line(page, "sweep").waitFor();
  muster("dev", "kill", "node2");
  await page.getByRole("group", { name: /^No answer from node2/ }).waitFor();
  assert.match(await page.title(), /no answer/);

  await add(page, "made without the node", "and another one");
  await line(page, "sweep").getByRole("checkbox").check();
  await page.getByText(/3 changes kept here/).waitFor();
  await line(page, "made without the node").getByText("not saved yet").waitFor();
  muster("--node", "node1", "add", "chores", "made elsewhere");

  muster("dev", "start", "node2");
  await eventually(async () => assert.equal(await page.locator(".banner-bad").count(), 0));
  const all = ["and another one", "made elsewhere", "made without the node", "sweep"];
  await eventually(async () => assert.deepEqual((await titles(page)).sort(), all));
  await page.getByText("live", { exact: true }).waitFor();
  for (const node of ["node1", "node3"]) {
    await eventually(() =>
      assert.deepEqual(
        asked(node, "show", "chores")
          .items.map((entry) => entry.title)
          .sort(),
        all,
      ),
    );
    assert.ok(asked(node, "show", "chores").items.find((entry) => entry.title === "sweep").done);
  }

  // What is not saved outlives the page, too.
  muster("dev", "kill", "node2");
  await page.getByRole("group", { name: /^No answer from node2/ }).waitFor();
  await add(page, "typed before the page was loaded again");
  await page.getByText(/1 change kept here/).waitFor();
  const asks = page.waitForEvent("dialog");
  await page.close({ runBeforeUnload: true });
  const dialog = await asks;
  assert.equal(dialog.type(), "beforeunload", "the browser asks before it throws changes away");
  await dialog.dismiss();
  page.on("dialog", (dialog) => dialog.accept());
  muster("dev", "start", "node2");
  await page.reload();
  await eventually(() =>
    assert.ok(asked("node1", "show", "chores").items.some((entry) => entry.title.startsWith("typed before"))),
  );
  assert.equal(asked("node1", "show", "chores").items.length, 5);
  // What had happened before the daemon was killed is shown from the start.
  await page.getByText("list “chores” was created").first().waitFor();
});
