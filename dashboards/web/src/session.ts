// How the page gets in: the link's fragment has a code, which is traded for a token. The token stays in this tab's
// sessionStorage: no cookie, since those ignore ports, and no other tab or site gets it.

import { giveBack } from "./slots.ts";
import { changed, state } from "./state.ts";

const KEY = "muster.token";

export function token(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

/** The code in a link, or in what somebody typed. */
export function codeIn(text: string): string | null {
  return /(?:^|#code=)([0-9a-f]{16}_[0-9a-f]{64})\s*$/.exec(text.trim())?.[1] ?? null;
}

/** Takes the code out of the address, so that it stays in no history; gives it. */
export function takeCode(): string | null {
  const code = codeIn(location.hash);
  if (location.hash) history.replaceState(null, "", location.pathname);
  return code;
}

/** Trades a code for a token. Gives what went wrong in words, or null. */
export async function trade(code: string): Promise<string | null> {
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch("/v1/web/token", {
      method: "POST",
      headers,
      body: JSON.stringify({ code }),
      credentials: "omit",
    });
    const answer = (await response.json()) as { token?: string; detail?: string };
    if (!response.ok || !answer.token) return answer.detail ?? `the node answered ${response.status}`;
    sessionStorage.setItem(KEY, answer.token);
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
