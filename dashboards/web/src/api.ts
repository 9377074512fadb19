// Calls of the node's API. Each bears the token and has a deadline.

import { endSession, token } from "./session.ts";

/** What the node answered instead of doing it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail);
  }

  /** Whether the same call may succeed later. */
  get isTemporary(): boolean {
    return this.status === 401 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** No answer came. */
export class Unreachable extends Error {}

const DEADLINE_MS = 10_000;

export async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await request(method, path, body === undefined ? {} : { body: JSON.stringify(body) });
  if (response.status === 204) return null;
  return await readJson(response);
}

export async function get<T>(path: string): Promise<T> {
  return (await call("GET", path)) as T;
}

async function request(method: string, path: string, init: { body?: string }): Promise<Response> {
  const headers: Record<string, string> = { Authorization: `Bearer ${token()}` };
  if (init.body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(DEADLINE_MS),
      ...init,
    });
  } catch (error) {
    throw new Unreachable(String(error));
  }
  if (!response.ok) throw await problem(response);
  return response;
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    throw new Unreachable(String(error));
  }
}

/** The problem that an answer tells. 401 ends the session. */
export async function problem(response: Response): Promise<Problem> {
  if (response.status === 401) endSession("expired");
  const told = (await response.json().catch(() => ({}))) as { detail?: unknown };
  return new Problem(response.status, typeof told.detail === "string" ? told.detail : `the node answered ${response.status}`);
}

export function listPath(list: string): string {
  return `/v1/lists/${encodeURIComponent(list)}`;
}

export function entryPath(list: string, id: string): string {
  return `${listPath(list)}/entries/${encodeURIComponent(id)}`;
}
