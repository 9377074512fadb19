// Where the page begins.

import { pause, retry } from "./cluster.ts";
import { pending } from "./outbox.ts";
import { takeLink, token } from "./session.ts";
import { drawWith } from "./state.ts";
import { draw } from "./view/page.ts";
import { begin, enter } from "./view/signin.ts";

/** A tab that nobody looks at gives its connections back after that time: a browser has only six for a node. */
const HIDDEN_FOR_MS = 30_000;

function arrive(): void {
  const link = takeLink();
  if (link) void enter(link);
  else if (token()) begin();
}

let hiding: ReturnType<typeof setTimeout> | undefined;

function visibility(): void {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(pause, HIDDEN_FOR_MS);
  else retry();
}

/** Changes that are not saved are this tab's: it does not go without a word. */
function leaving(event: BeforeUnloadEvent): void {
  if (pending().some((change) => change.status !== "settling")) event.preventDefault();
}

drawWith(draw);
addEventListener("beforeunload", leaving);
addEventListener("hashchange", arrive);
addEventListener("online", retry);
document.addEventListener("visibilitychange", visibility);
arrive();
draw();
