// Whatever titles, names and notes hold, it is text: nothing of it runs, hides or turns the page around.
import assert from "node:assert/strict";
import { choose, eventually, line, muster, story, titles, visit } from "./harness.mjs";

const HOSTILE = [
  "<img src=x onerror=\"document.title='owned'\">",
  "<script>document.title='owned'</script>",
  "</li></ol><h1>Muster</h1>",
  "{{7*7}} ${7*7} javascript:alert(1)",
  "' onmouseover='document.title=1",
  "&lt;b&gt; &amp;",
  "שלום עולם and مرحبا",
  "🧭 e\u0301 ﷽",
  "👩\u200d💻 می\u200cخواهم",
  "constructor",
  "__proto__",
];

await story(async (browser) => {
  for (const title of HOSTILE)
    muster("--node", "node2", "add", "__proto__", "--note", `${title}\n${title}`, "--tag", "<b>x</b>", "--", title);
  muster("--node", "node2", "add", "<img src=x onerror=alert(1)>", "--", "x");
  const page = await visit(browser, "node2");
  await choose(page, "__proto__");
  await eventually(async () => assert.deepEqual(await titles(page), HOSTILE));
  for (const title of HOSTILE) {
    await line(page, title).locator(".title").click();
    assert.equal(await page.locator("#edit-notes").inputValue(), `${title}\n${title}`);
    await page.keyboard.press("Escape");
  }
  await choose(page, "<img src=x onerror=alert(1)>");
  assert.equal(await page.locator("#page img, #page script, #page b").count(), 0);
  assert.equal(await page.locator("h1").count(), 1);
  assert.match(await page.title(), /^node2 · Muster$/);

  // What no node takes from its clients, and other replicas may hold nevertheless, is shown by numbers.
  await page.route("**/watch", async (route) => {
    const entry = {
      id: "01JB00000000000000000TEST1",
      title: "pay\u202egnp.exe\u0007\u2028end",
      due: null,
      done: false,
      priority: null,
      tags: [],
      notes: "",
      assignee: null,
      wait: null,
      every: null,
      series: null,
      planned: null,
      order: "a",
      conflicts: [],
    };
    const more = {
      created_at: "2026-01-01T00:00:00Z",
      created_by: "x\u202e@n",
      modified_at: "2026-01-01T00:00:00Z",
      modified_by: "x@n",
    };
    await route.fulfill({
      contentType: "text/event-stream",
      body: `event: snapshot\nid: 1\ndata: ${JSON.stringify({ items: [{ ...entry, ...more }], last: true })}\n\n`,
    });
  });
  await page.getByLabel("Name of a new list").fill("elsewhere");
  await page.keyboard.press("Enter");
  await eventually(async () => assert.deepEqual(await titles(page), ["pay\\u{202e}gnp.exe\\u{7}\\u{2028}end"]));
});
