// Prints how fast the page is: bytes, first paint on the loopback, and the time from a change on another node to the document.
import assert from "node:assert/strict";
import { choose, eventually, link, muster, own, story, titles, visit } from "./harness.mjs";

const VISITS = 10;
const CHANGES = 60;

await story(async (browser) => {
  muster("--node", "node1", "add", "figures", "first");
  const paints = [];
  for (let visitor = 0; visitor < VISITS; visitor++) {
    const context = await own(browser);
    const page = await context.newPage();
    await page.goto(link("node1"));
    await page.getByRole("button", { name: "first", exact: true }).waitFor();
    paints.push(
      await page.evaluate(async () => {
        const paint = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
        while (paint() === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
        return paint();
      }),
    );
    if (visitor === 0) console.log(`bytes: ${await bytes(page)}`);
    await context.close();
  }
  console.log(`first paint, ${VISITS} visits with nothing cached: ${summary(paints)}`);

  const [from, to] = [await visit(browser, "node2"), await visit(browser, "node1")];
  await choose(to, "figures");
  const token = await from.evaluate(() => sessionStorage.getItem("muster.token"));
  const delays = [];
  for (let change = 0; change < CHANGES; change++) {
    const title = `change ${change}`;
    const seen = to.evaluate(appears, title);
    const sent = await from.evaluate(send, { title, token });
    delays.push((await seen) - sent);
  }
  console.log(`added on node2, in the document on node1, ${CHANGES} times, from the request: ${summary(delays)}`);
  await eventually(async () => assert.equal((await titles(to)).length, CHANGES + 1));
});

/** The time of the first look at which the document has an entry of that title; both pages are on one host, with one clock. */
function appears(title) {
  return new Promise((resolve) => {
    const look = () => [...document.querySelectorAll(".entries .title")].some((element) => element.textContent === title);
    const observer = new MutationObserver(() => {
      if (!look()) return;
      observer.disconnect();
      resolve(performance.timeOrigin + performance.now());
    });
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}

async function send({ title, token }) {
  const sent = performance.timeOrigin + performance.now();
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const response = await fetch("/v1/lists/figures/entries", { method: "POST", headers, body: JSON.stringify({ title }) });
  if (response.status !== 201) throw new Error(`${response.status}`);
  return sent;
}

async function bytes(page) {
  const sizes = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .map((entry) => [new URL(entry.name).pathname, entry.decodedBodySize])
      .filter(([path]) => ["/", "/page.js", "/page.css"].includes(path)),
  );
  return sizes.map(([path, size]) => `${path} ${size}`).join(", ") + `, in all ${sizes.reduce((sum, [, size]) => sum + size, 0)}`;
}

function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  return `p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, most ${at(1)} ms`;
}
