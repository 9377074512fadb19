// A link is good once; what it gave stays in the tab, leaves no trace in the address, ends by sign-out, by revocation and by its time,
// and a new link goes on where the page was.
import assert from "node:assert/strict";
import { add, asked, eventually, link, muster, own, story, titles, visit, watch } from "./harness.mjs";

await story(async (browser) => {
  muster("--node", "node1", "add", "chores", "sweep");
  const url = link("node1");
  const context = await own(browser);
  const page = await context.newPage();
  watch(page, new URL(url).origin);
  await page.goto(url);
  await page.getByRole("button", { name: "sweep", exact: true }).waitFor();
  assert.equal(page.url(), `${new URL(url).origin}/`, "the code is in no address and no history");
  assert.deepEqual(await context.cookies(), []);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.reload();
  await page.getByRole("button", { name: "sweep", exact: true }).waitFor();

  const other = await context.newPage();
  watch(other, new URL(url).origin);
  await other.goto(url);
  await other.getByText(/the code is unknown, was used already/).waitFor();
  assert.equal(await other.getByRole("button", { name: "sweep" }).count(), 0);
  await paste(other, "http://127.0.0.1/#nonsense");
  await other.getByText(/That is no link/).waitFor();
  await paste(other, link("node1"));
  await other.getByRole("button", { name: "sweep", exact: true }).waitFor();

  const mine = asked("node1", "token", "list").items;
  assert.deepEqual(
    mine.map((token) => token.scope),
    ["page", "page"],
  );
  for (const token of mine) muster("--node", "node1", "token", "revoke", token.id);
  await page.getByText(/Your session has ended/).waitFor();
  await add(page, "typed after the end");
  await page.getByText(/1 change not saved yet/).waitFor();
  await paste(page, link("node1"));
  await eventually(() =>
    assert.ok(asked("node1", "show", "chores").items.some((entry) => entry.title === "typed after the end")),
  );
  await eventually(async () => assert.deepEqual(await titles(page), ["sweep", "typed after the end"]));

  muster("--node", "node2", "add", "chores", "added elsewhere");
  await page.getByRole("button", { name: "added elsewhere", exact: true }).waitFor();

  // A token that ends by its time ends what it opened.
  const short = await context.newPage();
  watch(short, new URL(url).origin);
  await short.goto(new URL(url).origin);
  const token = muster("--node", "node1", "token", "create", "--scope", "page", "--ttl", "12s").trim();
  await short.evaluate((token) => sessionStorage.setItem("muster.token", token), token);
  await short.reload();
  await short.getByRole("button", { name: "sweep", exact: true }).waitFor();
  await short.getByText(/Your session has ended/).waitFor();
  await short.close();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You have signed out.").waitFor();
  await eventually(() => assert.deepEqual(asked("node1", "token", "list").items, []));
  assert.equal(await page.getByRole("button", { name: "sweep" }).count(), 0, "nothing is left to see");
  await page.goto(link("node1"));
  await page.getByRole("button", { name: "sweep", exact: true }).waitFor();

  const policy = (await page.request.get(`${new URL(url).origin}/`)).headers()["content-security-policy"];
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "frame-ancestors 'none'",
  ])
    assert.ok(policy.includes(rule), policy);
  const unwatched = await context.newPage();
  await unwatched.goto(new URL(url).origin);
  assert.match(await refusal(unwatched), /refused/, "the browser keeps to the policy");
});

async function paste(page, text) {
  const way = page.getByRole("region", { name: "Open this page by a link" });
  await way.getByLabel("Link or code").fill(text);
  await way.getByRole("button").click();
}

/** What becomes of a script that is no file of the page's. */
function refusal(page) {
  return page.evaluate(() => {
    try {
      document.createElement("div").innerHTML = "<b>x</b>";
      return "made";
    } catch (error) {
      return `refused: ${error}`;
    }
  });
}
