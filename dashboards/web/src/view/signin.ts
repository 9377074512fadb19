// The way in, when there is no token or it is good no longer.

import { restart, start } from "../cluster.ts";
import { h, type Child, type Described } from "../dom.ts";
import { pending } from "../outbox.ts";
import { expected, linkIn, token, trade, type Link } from "../session.ts";
import { changed, state } from "../state.ts";
import { count, printable } from "../text.ts";

const WORDS = {
  none: "This page shows one node of a cluster: its members, its processes and its to-do lists.",
  expired: "Your session has ended: it lasts twelve hours, and `muster token revoke` ends it earlier.",
  ended: "You have signed out.",
  good: "",
  elsewhere: "Another node answers here, so this page has stopped.",
};

let isStarted = false;

/** Trades a link's code, and begins. */
export async function enter(link: Link): Promise<void> {
  state.signIn = { error: null, isBusy: true };
  changed();
  const error = await trade(link);
  state.signIn = { error, isBusy: false };
  // A tab that is in already stays so, whatever its link was.
  if (error === null || token() !== "") begin();
  changed();
}

/** There is a token: begins, or goes on. */
export function begin(): void {
  state.session = "good";
  state.isSure = false;
  state.stranger = null;
  if (isStarted) restart();
  else start();
  isStarted = true;
}

export function signIn(): Described {
  const unsaved = pending().length;
  return h(
    "section",
    { class: "sign-in", key: "sign-in", "aria-labelledby": "sign-in-title" },
    h("h2", { id: "sign-in-title" }, "Open this page by a link"),
    h("p", null, WORDS[state.session]),
    stranger(),
    h(
      "p",
      null,
      "On the node's host, ",
      h("code", null, "muster web"),
      " prints a link that opens it, good once and for a minute; ",
      h("code", null, "muster web --open"),
      " opens it right away.",
    ),
    unsaved > 0 &&
      h("p", { class: "kept" }, `${count(unsaved, "change")} not saved yet: kept in this tab. Paste the link here to save them.`),
    h(
      "form",
      { onsubmit: submit },
      h("label", { for: "link" }, "Link or code"),
      h(
        "div",
        { class: "row" },
        h("input", { id: "link", name: "link", autocomplete: "off", spellcheck: "false", placeholder: "http://…/#code=…" }),
        h("button", { class: "primary", disabled: state.signIn.isBusy }, "Open"),
      ),
      h("p", { class: "error", role: "alert" }, state.signIn.error ?? ""),
    ),
  );
}

function stranger(): Child {
  if (!state.stranger) return null;
  const { name, id } = state.stranger;
  const words = `It is ${printable(name)} with the id ${printable(id)}; this page belongs to the node with the id ${expected() ?? ""}.`;
  return h("p", null, `${words} Is a tunnel another one now? Load the page again once the right node answers.`);
}

function submit(event: SubmitEvent): void {
  event.preventDefault();
  const typed = new FormData(event.currentTarget as HTMLFormElement).get("link");
  const link = linkIn(String(typed));
  if (link) void enter(link);
  else state.signIn.error = "That is no link of muster web: it has #code= and at least 81 characters behind that.";
  changed();
}
