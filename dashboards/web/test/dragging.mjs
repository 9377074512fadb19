// Entries are moved by their grips: with the mouse, and with a finger; Escape lets go.
import assert from "node:assert/strict";
import { add, asked, eventually, line, muster, story, titles, visit } from "./harness.mjs";

const LETTERS = ["a", "b", "c", "d"];

await story(async (browser) => {
  muster("--node", "node1", "add", "letters", "a");
  const page = await visit(browser, "node1");
  await add(page, ...LETTERS.slice(1));
  await eventually(() => assert.deepEqual(order(), LETTERS));

  await drag(page, "d", "a", 0.2);
  await eventually(() => assert.deepEqual(order(), ["d", "a", "b", "c"]));
  await drag(page, "a", "c", 0.8);
  await eventually(() => assert.deepEqual(order(), ["d", "b", "c", "a"]));
  await drag(page, "b", "c", 0.8);
  await eventually(() => assert.deepEqual(order(), ["d", "c", "b", "a"]));
  await drag(page, "a", "d", 0.2, async () => page.keyboard.press("Escape"));
  await page.locator(".is-dragged").waitFor({ state: "detached" });
  assert.deepEqual(await titles(page), ["d", "c", "b", "a"]);
  assert.deepEqual(order(), ["d", "c", "b", "a"]);

  const phone = await visit(browser, "node2", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  await eventually(async () => assert.deepEqual(await titles(phone), ["d", "c", "b", "a"]));
  await touch(phone, "a", "d");
  await eventually(() => assert.deepEqual(order(), ["a", "d", "c", "b"]));
});

function order() {
  return asked("node1", "show", "letters").items.map((entry) => entry.title);
}

async function box(page, title) {
  return await line(page, title).boundingBox();
}

async function grip(page, title) {
  const { x, y, width, height } = await page.getByRole("button", { name: `Move ${title}` }).boundingBox();
  return [x + width / 2, y + height / 2];
}

async function drag(page, title, to, share, before = async () => {}) {
  const target = await box(page, to);
  await page.mouse.move(...(await grip(page, title)));
  await page.mouse.down();
  await page.mouse.move(target.x + 10, target.y + target.height * share, { steps: 6 });
  await page.locator(".is-dragged").waitFor();
  await before();
  await page.mouse.up();
}

async function touch(page, title, to) {
  const client = await page.context().newCDPSession(page);
  const [x, y] = await grip(page, title);
  const target = await box(page, to);
  const send = (type, ...touchPoints) => client.send("Input.dispatchTouchEvent", { type, touchPoints });
  await send("touchStart", { x, y });
  for (let step = 1; step <= 6; step++) await send("touchMove", { x, y: y + ((target.y + 4 - y) * step) / 6 });
  await page.locator(".is-dragged").waitFor();
  await send("touchEnd");
}
