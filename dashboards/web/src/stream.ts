// Server-sent events by fetch: EventSource cannot send a token. A stream that breaks begins again where it ended.

import { Problem, problem } from "./api.ts";
import { NO_ANSWER } from "./reach.ts";
import { token } from "./session.ts";
import { take } from "./slots.ts";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** The node sends a comment every 15 s; a stream that is silent for longer is broken. */
const SILENCE_MS = 40_000;

export interface Listener {
  /** An event came. */
  event(name: string, data: unknown): void;
  /** The stream is open. `begins`: it does not go on after an event that was told. */
  up(begins: boolean): void;
  /** The stream broke; it will be tried again. */
  down(why: string): void;
  /** There is nothing to stream (404). It is tried again when `retry` is called. */
  missing(): void;
}

export class Stream {
  private lastId: string | null = null;
  private wait = FIRST_WAIT_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private abort: AbortController | null = null;
  private isClosed = false;

  constructor(
    private readonly path: string,
    private readonly listener: Listener,
  ) {
    void this.run();
  }

  close(): void {
    this.isClosed = true;
    this.pause();
  }

  /** Ends the connection; `retry` goes on from here. */
  pause(): void {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = null;
  }

  /** Tries at once, unless the stream is open. */
  retry(): void {
    if (this.isClosed || this.abort) return;
    clearTimeout(this.timer);
    this.wait = FIRST_WAIT_MS;
    void this.run();
  }

  private async run(): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    if (!(await take())) {
      if (this.abort === abort) this.abort = null;
      return;
    }
    if (this.abort !== abort) return;
    let why = NO_ANSWER;
    try {
      const headers: Record<string, string> = { Authorization: `Bearer ${token()}` };
      if (this.lastId !== null) headers["Last-Event-ID"] = this.lastId;
      const response = await fetch(this.path, { headers, cache: "no-store", credentials: "omit", signal: abort.signal });
      if (!response.ok || !response.body) throw await problem(response);
      this.listener.up(this.lastId === null);
      this.wait = FIRST_WAIT_MS;
      await this.read(response.body, abort);
    } catch (error) {
      why = error instanceof Problem ? error.detail : NO_ANSWER;
      if (error instanceof Problem && error.status === 404 && this.abort === abort) {
        this.abort = null;
        return this.listener.missing();
      }
      // Somebody has to sign in first, and then calls `retry`.
      if (error instanceof Problem && error.status === 401) return this.abort === abort ? this.pause() : undefined;
    }
    // Whoever paused or closed it wants no new attempt.
    if (this.abort !== abort) return;
    this.abort = null;
    this.listener.down(why);
    this.timer = setTimeout(() => this.retryLater(), this.wait * (0.75 + Math.random() / 2));
  }

  private retryLater(): void {
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    if (!this.isClosed && !this.abort) void this.run();
  }

  private async read(body: ReadableStream<Uint8Array>, abort: AbortController): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let silence: ReturnType<typeof setTimeout> | undefined;
    let text = "";
    try {
      for (;;) {
        clearTimeout(silence);
        silence = setTimeout(() => void reader.cancel(), SILENCE_MS);
        const { done, value } = await reader.read();
        if (done || abort.signal.aborted) return;
        text += decoder.decode(value, { stream: true });
        const events = text.split("\n\n");
        text = events.pop() ?? "";
        events.forEach((event) => this.note(event));
      }
    } finally {
      clearTimeout(silence);
    }
  }

  private note(event: string): void {
    const field = (name: string) =>
      event
        .split("\n")
        .find((line) => line.startsWith(name))
        ?.slice(name.length);
    const [name, id, data] = [field("event: ") ?? "message", field("id: "), field("data: ")];
    if (data === undefined) return;
    if (id !== undefined) this.lastId = id;
    // What was missed is gone: begin anew with the state as it is.
    if (name === "lagged") this.lastId = null;
    else this.listener.event(name, JSON.parse(data));
  }
}
