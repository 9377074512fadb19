// How the page gets in: the link's fragment has a code, which is traded for a token. The token stays in this tab's
// sessionStorage: no cookie, since those ignore ports, and no other tab or site gets it.

import { giveBack } from "./slots.ts";
import { changed, state } from "./state.ts";

const KEY = "muster.token";
const NODE = "muster.node";

export function token(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

/** What a link holds: a code, and the id of the node that made it, unless somebody typed the code alone. */
export interface Link {
  code: string;
  node: string | null;
}

/** What is in a link, or in what somebody typed. */
export function linkIn(text: string): Link | null {
  const found = /(?:^|#code=)([0-9a-f]{16}_[0-9a-f]{64})(?:\.([0-9a-f]{32}))?$/.exec(text.trim());
  return found?.[1] === undefined ? null : { code: found[1], node: found[2] ?? null };
}

/** Takes the link out of the address, so that its code stays in no history; gives it. */
export function takeLink(): Link | null {
  const link = linkIn(location.hash);
  if (location.hash) history.replaceState(null, "", location.pathname);
  return link;
}

/** The id of the node that gave the token, as far as it is known. */
export function expected(): string | null {
  return sessionStorage.getItem(NODE);
}

/** Whether a node is the one that gave the token. If no link has named it, it is the first that answers. */
export function recognise(id: string): boolean {
  const known = expected();
  if (known === null) sessionStorage.setItem(NODE, id);
  return known === null || known === id;
}

/** Trades a link's code for a token. Gives what went wrong in words, or null. */
export async function trade(link: Link): Promise<string | null> {
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch("/v1/web/token", {
      method: "POST",
      headers,
      body: JSON.stringify(link.node === null ? { code: link.code } : link),
      credentials: "omit",
    });
    const answer = (await response.json()) as { token?: string; detail?: string };
    if (!response.ok || !answer.token) return answer.detail ?? `the node answered ${response.status}`;
    sessionStorage.setItem(KEY, answer.token);
    if (link.node === null) sessionStorage.removeItem(NODE);
    else sessionStorage.setItem(NODE, link.node);
    return null;
  } catch {
    return "the node does not answer; is musterd running?";
  }
}

/** The token is good no longer. What was not saved is kept. */
export function endSession(why: "expired" | "ended"): void {
  // Each stream hears of it by itself, and may have taken the slot again since the first one did.
  giveBack();
  if (state.session !== "good") return;
  sessionStorage.removeItem(KEY);
  state.session = why;
  changed();
}
