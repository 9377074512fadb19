// A link is of one node. Where another one answers, the page says so, and sends it no change; when the right one answers again, it
// goes on.
import assert from "node:assert/strict";
import { add, asked, eventually, link, muster, own, story, titles, watch } from "./harness.mjs";

await story(async (browser) => {
  muster("--node", "node1", "add", "chores", "sweep");
  const url = link("node1");
  const [mine, other] = ["node1", "node2"].map((node) => asked(node, "status").node);
  assert.ok(url.endsWith(`.${mine.id}`), url);
  const origin = new URL(url).origin;
  const context = await own(browser);

  // A link of node2 whose address leads to node1 now, as a tunnel may: nothing is spent.
  const misled = await context.newPage();
  watch(misled, origin);
  await misled.goto(url.replace(mine.id, other.id));
  await misled.getByText(`here is node1 with the id ${mine.id}`).waitFor();
  await misled.close();

  const page = await context.newPage();
  watch(page, origin);
  await page.goto(url);
  await page.getByRole("button", { name: "sweep", exact: true }).waitFor();
  let changes = 0;
  page.on("request", (request) => (changes += request.method() === "GET" ? 0 : 1));
  await page.route("**/v1/**", (route) => route.abort());
  await page.getByText(/No answer from node1/).waitFor();
  await add(page, "typed while nobody answered");
  await page.getByText(/1 change kept here/).waitFor();
  changes = 0;
  await page.route("**/v1/node", (route) => route.fulfill({ json: { ...mine, id: other.id, name: other.name } }));
  await page.unroute("**/v1/**");
  await page.getByText("Another node answers here, so this page has stopped.").waitFor();
  await page.getByText(`It is node2 with the id ${other.id}`).waitFor();
  await page.getByText(/1 change not saved yet/).waitFor();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.equal(changes, 0, "it was sent to another node");

  await page.unroute("**/v1/node");
  await page.reload();
  await eventually(() =>
    assert.ok(asked("node1", "show", "chores").items.some((entry) => entry.title === "typed while nobody answered")),
  );
  await eventually(async () => assert.deepEqual(await titles(page), ["sweep", "typed while nobody answered"]));
});
