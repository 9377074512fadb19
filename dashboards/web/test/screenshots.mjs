// Makes the pictures of the README: `node test/screenshots.mjs DIR` while `muster dev --fresh --nodes 5` runs, with MUSTER and
// MUSTER_DEV_DIR as for the stories.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { asked, choose, eventually, line, muster, story, visit } from "./harness.mjs";

const BILL = [
  ["node1", "Check the bilge pumps", "--due", "today", "--tag", "deck", "--priority", "high"],
  ["node2", "Renew the certificate of gamma", "--due", "+3d", "--tag", "security"],
  ["node3", "Rotate logs on the build hosts", "--tag", "hosts", "--priority", "medium"],
  [
    "node1",
    "Ask the yard about the rudder bearing; they wanted to call back before noon and have not",
    "--due",
    "+5d",
    "--tag",
    "yard",
  ],
  ["node4", "Polish the bell", "--tag", "deck", "--priority", "low"],
  ["node5", "Drill: fire in the engine room", "--due", "+2w", "--tag", "drill", "--note", "With the new hands."],
];
const OTHERS = [
  ["node2", "groceries", "oat milk"],
  ["node1", "groceries", "coffee"],
  ["node3", "on call", "Hand over at 18:00"],
  ["node4", "release 0.2", "Write the changelog"],
];
const PROCESSES = [
  ["node1", "web", "frontends"],
  ["node2", "db", "data"],
  ["node4", "worker:1", "jobs"],
  ["node5", "worker:2", "jobs"],
];

const out = process.argv[2];
const running = PROCESSES.map(([node, name, group]) =>
  spawn(process.env.MUSTER, ["--node", node, "run", name, "--group", group, "--", "sleep", "600"], { stdio: "ignore" }),
);
try {
  await story(async (browser) => {
    for (const [node, title, ...more] of BILL) muster("--node", node, "add", "watch bill", title, ...more);
    for (const [node, list, title] of OTHERS) muster("--node", node, "add", list, title);
    await eventually(() => muster("--node", "node1", "done", "watch bill", find("node1", "Polish the bell")));
    const [light, dark] = [
      await visit(browser, "node1", { colorScheme: "light" }),
      await visit(browser, "node1", { colorScheme: "dark" }),
    ];
    const phone = await visit(browser, "node2", {
      colorScheme: "light",
      viewport: { width: 390, height: 780 },
      isMobile: true,
      hasTouch: true,
    });
    for (const page of [light, dark, phone]) {
      await choose(page, "watch bill");
      await page.mouse.move(0, 0);
    }

    muster("dev", "split", "node1", "node2");
    await dark.getByText("minority · 2 of 5").waitFor();
    await eventually(() =>
      muster("--node", "node1", "edit", "watch bill", find("node1", "Rotate"), "--title", "Rotate logs on all hosts"),
    );
    muster(
      "--node",
      "node4",
      "edit",
      "watch bill",
      find("node4", "Rotate"),
      "--title",
      "Rotate and ship the logs of the build hosts",
    );
    muster("--node", "node4", "add", "watch bill", "Grease the windlass", "--tag", "deck");
    await dark.getByText("Rotate logs on all hosts").waitFor();
    await dark.screenshot({ path: join(out, "page-dark.png") });

    muster("dev", "heal");
    for (const page of [light, phone]) await line(page, "Grease the windlass").waitFor();
    await light.locator(".banner-good").waitFor();
    await light.locator(".entry .conflict").waitFor();
    await light.screenshot({ path: join(out, "page-light.png") });
    await phone.getByRole("button", { name: "Dismiss" }).tap();
    await phone.screenshot({ path: join(out, "page-phone.png") });
  });
} finally {
  running.forEach((process) => process.kill());
}

function find(node, title) {
  return asked(node, "show", "watch bill").items.find((entry) => entry.title.startsWith(title)).id;
}
