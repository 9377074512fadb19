// The way in, when there is no token or it is good no longer.

import { restart, start } from "../cluster.ts";
import { h, type Described } from "../dom.ts";
import { pending } from "../outbox.ts";
import { codeIn, token, trade } from "../session.ts";
import { changed, state } from "../state.ts";
import { count } from "../text.ts";

const WORDS = {
  none: "This page shows one node of a cluster: its members, its processes and its to-do lists.",
  expired: "Your session has ended: it lasts twelve hours, and `muster token revoke` ends it earlier.",
  ended: "You have signed out.",
  good: "",
};

let isStarted = false;

/** Trades a code, and begins. */
export async function enter(code: string): Promise<void> {
  state.signIn = { error: null, isBusy: true };
  changed();
  const error = await trade(code);
  state.signIn = { error, isBusy: false };
  // A tab that is in already stays so, whatever its link was.
  if (error === null || token() !== "") begin();
  changed();
}

/** There is a token: begins, or goes on. */
export function begin(): void {
  state.session = "good";
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

function submit(event: SubmitEvent): void {
  event.preventDefault();
  const typed = new FormData(event.currentTarget as HTMLFormElement).get("link");
  const code = codeIn(String(typed));
  if (code) void enter(code);
  else state.signIn.error = "That is no link of muster web: it ends in #code= and 81 characters.";
  changed();
}
