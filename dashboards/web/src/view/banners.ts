// What needs attention: the node does not answer, it is cut off, it has healed, or it refused a change.

import { retry } from "../cluster.ts";
import { h, type Child, type Described } from "../dom.ts";
import * as outbox from "../outbox.ts";
import { NO_ANSWER } from "../reach.ts";
import { changed, state } from "../state.ts";
import { count, moment, printable } from "../text.ts";
import { verdict } from "../words.ts";
import { icon } from "./icon.ts";

export function banners(): Child[] {
  return [crowded(), unanswered(), cutOff(), healed(), refused()];
}

function banner(key: string, kind: "bad" | "warn" | "good", title: string, ...more: Child[]): Described {
  const mark = kind === "good" ? icon("link") : icon(key === "cut" ? "cut" : "warning");
  return h(
    "div",
    { key, class: `banner banner-${kind}`, role: "group", "aria-label": title },
    mark,
    h("div", null, h("strong", null, title), ...more),
  );
}

function crowded(): Child {
  if (!state.isCrowded) return null;
  return banner(
    "crowded",
    "warn",
    "This page is open in other windows",
    h(
      "p",
      null,
      "A browser has only six connections to a node, for all its windows together. This one goes on as soon as one of the others is closed or hidden.",
    ),
  );
}

function unanswered(): Child {
  if (state.reach.isUp || state.session !== "good") return null;
  const name = state.node ? printable(state.node.name) : "the node";
  const since = moment(new Date(state.reach.since).toISOString());
  const waiting = outbox.pending().filter((change) => change.status === "waiting" || change.status === "sending");
  const kept =
    waiting.length > 0 &&
    h("p", null, `${count(waiting.length, "change")} kept here and saved when it is back: ${titles(waiting)}.`);
  return banner(
    "unanswered",
    "bad",
    state.reach.why === NO_ANSWER
      ? `No answer from ${name} since ${since}`
      : `${name} has trouble since ${since}: ${printable(state.reach.why)}`,
    h(
      "p",
      null,
      "What you see may be old. You can go on; this page keeps trying. ",
      h("button", { type: "button", class: "small", onclick: retry }, "Try now"),
    ),
    kept,
  );
}

function titles(changes: readonly outbox.Change[]): string {
  const some = [...new Set(changes.map((change) => `“${printable(change.title)}”`))];
  return some.length > 3 ? `${some.slice(0, 3).join(", ")} and ${some.length - 3} more` : some.join(", ");
}

function cutOff(): Child {
  const partition = state.partition;
  if (!partition || partition.verdict === "whole") return null;
  const missing = partition.missing.map((member) => printable(member.name)).join(", ");
  return banner(
    "cut",
    "warn",
    `This node ${verdict(partition.verdict)} since ${moment(partition.since)}`,
    h(
      "p",
      null,
      `It reaches ${partition.reachable} of ${partition.expected}; missing: ${missing}. What you change is saved on this side, and merged when the cluster heals.`,
    ),
  );
}

/** Replicas meet a moment before the verdict changes, and go on for a while. */
const MERGING_MS = [-5_000, 20_000] as const;

/** The lists that changed as the cluster healed, the first ones first. */
function merged(since: string): string[] {
  const healed = Date.parse(since);
  const isThen = (at: string) => Date.parse(at) >= healed + MERGING_MS[0] && Date.parse(at) <= healed + MERGING_MS[1];
  const lists = state.happened.filter((event) => event.kind === "list" && isThen(event.at)).map((event) => event.name);
  return [...new Set(lists)].reverse();
}

function healed(): Child {
  if (!state.healed) return null;
  const names = merged(state.healed).map((name) => `“${printable(name)}”`);
  const changes =
    names.length === 0
      ? "No list has changed by it so far."
      : `Changed as it healed: ${names.slice(0, 8).join(", ")}${names.length > 8 ? ` and ${names.length - 8} more` : ""}.`;
  const conflicts = [...(state.open?.entries.values() ?? [])].filter((entry) => entry.conflicts.length > 0).length;
  const marked =
    conflicts > 0
      ? ` In the open list ${count(conflicts, "entry has", "entries have")} fields that were changed on both sides: see the marks.`
      : "";
  const close = () => {
    state.healed = null;
    changed();
  };
  return banner(
    "healed",
    "good",
    `The cluster is whole again since ${moment(state.healed)}`,
    h("p", null, changes + marked, " ", h("button", { type: "button", class: "small", onclick: close }, "Dismiss")),
  );
}

const DONE = { add: "add", edit: "change", delete: "delete", settle: "decision" } as const;

function refused(): Child {
  const changes = outbox.pending().filter((change) => change.status === "refused");
  if (changes.length === 0) return null;
  return banner(
    "refused",
    "bad",
    `${count(changes.length, "change")} refused by the node`,
    h("ul", { class: "refused" }, changes.map(refusal)),
  );
}

function refusal(change: outbox.Change): Described {
  const what = `${DONE[change.verb]} “${printable(change.title)}” in “${printable(change.list)}”`;
  return h(
    "li",
    { key: change.id },
    h("p", null, `Could not ${what}: ${printable(change.why)}`),
    h("button", { type: "button", class: "small", onclick: () => outbox.tryAgain(change) }, "Try again"),
    h("button", { type: "button", class: "small", onclick: () => outbox.discard(change) }, "Discard"),
  );
}
