// The page as a whole: the bar at the top, what needs attention, and the parts.

import { call } from "../api.ts";
import { forget } from "../cluster.ts";
import { h, render, type Described } from "../dom.ts";
import { pending } from "../outbox.ts";
import { endSession } from "../session.ts";
import { changed, state, type View } from "../state.ts";
import { printable } from "../text.ts";
import type { Partition } from "../types.ts";
import { banners } from "./banners.ts";
import { cluster } from "./cluster.ts";
import { events } from "./events.ts";
import { list } from "./list.ts";
import { lists } from "./lists.ts";
import { processes } from "./processes.ts";
import { signIn } from "./signin.ts";

export function draw(): void {
  const root = document.getElementById("page");
  if (!root) return;
  document.title = title();
  render(
    root,
    top(),
    h(
      "main",
      null,
      state.session !== "good" && signIn(),
      state.session !== "ended" && h("div", { class: "banners", key: "banners" }, banners()),
      state.node && parts(),
    ),
  );
}

function title(): string {
  const name = state.node ? `${state.node.name} · Muster` : "Muster";
  if (!state.reach.isUp) return `(no answer) ${name}`;
  return state.partition && state.partition.verdict !== "whole" ? `(${state.partition.verdict}) ${name}` : name;
}

function top(): Described {
  const unsaved = pending().filter((change) => change.status !== "settling").length;
  return h(
    "header",
    { class: "top" },
    h(
      "h1",
      { class: "brand" },
      "Muster",
      state.node && h("span", { class: "node" }, h("span", { class: "unseen" }, " on "), printable(state.node.name)),
    ),
    state.partition && reach(state.partition),
    h(
      "p",
      { class: `pulse ${state.reach.isUp ? "is-up" : "is-down"}` },
      h("span", { class: unsaved > 0 ? "" : "dispensable" }, pulse(unsaved)),
    ),
    state.session === "good" && h("button", { class: "quiet", type: "button", onclick: signOut }, "Sign out"),
  );
}

function reach({ verdict, reachable, expected, away }: Partition): Described {
  const word = h("span", { class: verdict === "whole" ? "dispensable" : "" }, `${verdict} · `);
  return h("p", { class: `verdict verdict-${verdict}` }, h("span", null, word, `${reachable} of ${expected}${away?.length ? `, ${away.length} away` : ""}`));
}

function pulse(unsaved: number): string {
  if (state.session !== "good") return "signed out";
  if (!state.reach.isUp) return unsaved > 0 ? `no answer, ${unsaved} unsaved` : "no answer";
  return unsaved > 0 ? `saving ${unsaved}` : "live";
}

async function signOut(): Promise<void> {
  await call("DELETE", "/v1/web/token").catch(() => {
    // Then the token ends by its time; this tab forgets it in any case.
  });
  endSession("ended");
  forget();
}

const VIEWS: [View, string][] = [
  ["lists", "Lists"],
  ["cluster", "Cluster"],
  ["activity", "Activity"],
];

function parts(): Described {
  const choose = (view: View) => () => {
    state.view = view;
    changed();
  };
  const tab = ([view, name]: [View, string]) =>
    h("button", { key: view, type: "button", "aria-current": state.view === view ? "page" : null, onclick: choose(view) }, name);
  return h(
    "div",
    { class: `parts shows-${state.view}`, key: "parts" },
    h("nav", { class: "tabs", key: "tabs", "aria-label": "Parts of the page" }, VIEWS.map(tab)),
    h("nav", { class: "lists", key: "lists", "aria-labelledby": "lists-title" }, lists()),
    h("section", { class: "list", key: "list", "aria-labelledby": "list-title" }, list()),
    h("section", { class: "cluster", key: "cluster", "aria-labelledby": "cluster-title" }, cluster()),
    h("section", { class: "events", key: "events", "aria-labelledby": "events-title" }, events()),
    h("section", { class: "processes", key: "processes", "aria-labelledby": "processes-title" }, processes()),
  );
}
