// All that the page knows, in one place. Whoever changes it says so with `changed`; the page is drawn once for all changes that
// come together.

import type { Draft } from "./fields.ts";
import type {
  Attention,
  Disputed,
  Entry,
  Happened,
  Heal,
  List,
  Member,
  NodeInfo,
  Partition,
  Process,
  ReachRow,
} from "./types.ts";

export type View = "lists" | "cluster" | "activity";

/** A list that is looked at. */
export interface OpenList {
  name: string;
  entries: Map<string, Entry>;
  /** The same in order; null when they have changed since they were sorted. */
  sorted: Entry[] | null;
  /** Whether its entries have come. */
  isLoaded: boolean;
  /** Whether the node has such a list: without an entry there is none. */
  exists: boolean;
  filter: { text: string; show: "open" | "done" | "all"; tag: string | null; waiting: boolean };
  /** How many entries are drawn at most. */
  limit: number;
}

/** The editor of an entry: what it was when it was opened, and what is typed. */
export interface Editor {
  list: string;
  id: string;
  before: Entry;
  draft: Draft;
  isDeleting: boolean;
  /** Whether somebody wanted to edit another entry before this one was saved. */
  isInTheWay: boolean;
}

export interface State {
  session: "none" | "good" | "expired" | "ended" | "elsewhere";
  signIn: { error: string | null; isBusy: boolean };
  node: NodeInfo | null;
  /** Whether it is certain that this node still answers: another one gets no change that is meant for it. */
  isSure: boolean;
  /** Another node that answers in its place. */
  stranger: NodeInfo | null;
  members: Member[];
  partition: Partition | null;
  /** What needs somebody, the worst first. */
  attention: Attention[];
  /** Whether the node answers; when not, since when, and what went wrong. */
  reach: { isUp: boolean; since: number; why: string };
  /** Whether other tabs have all the connections that a browser allows. */
  isCrowded: boolean;
  /** Since when the cluster is whole again, until somebody has read it. */
  healed: string | null;
  /** What the node saw of past heals, the newest first. */
  heals: Heal[];
  /** Who reaches whom, as of when somebody asked for it. */
  matrix: { rows: ReachRow[]; at: string | null; isBusy: boolean; error: string | null };
  /** The newest first. `times`: how often the same came in a row. */
  happened: (Happened & { number: number; times: number })[];
  kinds: Set<string>;
  processes: { items: Process[]; hasMore: boolean; prefix: string };
  lists: { items: Map<string, List>; hasMore: boolean; match: string };
  open: OpenList | null;
  editor: Editor | null;
  /** What was written apart in the entry that is edited. */
  disputed: Disputed | null;
  adding: { title: string; due: string };
  naming: string;
  drag: { id: string; to: number } | null;
  view: View;
}

export const state: State = {
  session: "none",
  signIn: { error: null, isBusy: false },
  node: null,
  isSure: false,
  stranger: null,
  members: [],
  partition: null,
  attention: [],
  reach: { isUp: true, since: Date.now(), why: "" },
  isCrowded: false,
  healed: null,
  heals: [],
  matrix: { rows: [], at: null, isBusy: false, error: null },
  happened: [],
  kinds: new Set(["member", "process", "list", "partition"]),
  processes: { items: [], hasMore: false, prefix: "" },
  lists: { items: new Map(), hasMore: false, match: "" },
  open: null,
  editor: null,
  disputed: null,
  adding: { title: "", due: "" },
  naming: "",
  drag: null,
  view: "lists",
};

/** The shortest time from one drawing to the next. */
const DRAW_EVERY_MS = 16;

let draw: () => void = () => {};
let isDue = false;
let nextDraw = 0;
let afterwards: (() => void)[] = [];

/** Says how the page is drawn. */
export function drawWith(how: () => void): void {
  draw = how;
}

/** Something in the state has changed. Shown at once, but when much happens no more often than the page can be drawn. */
export function changed(): void {
  if (isDue) return;
  isDue = true;
  const wait = nextDraw - performance.now();
  if (wait <= 0) queueMicrotask(show);
  else setTimeout(show, wait);
}

/** Has this done when what was changed is shown. */
export function onceShown(call: () => void): void {
  afterwards.push(call);
  changed();
}

function show(): void {
  isDue = false;
  const begun = performance.now();
  draw();
  const ended = performance.now();
  nextDraw = ended + Math.max(DRAW_EVERY_MS, ended - begun);
  const calls = afterwards;
  afterwards = [];
  calls.forEach((call) => call());
}

/** Says something to those who cannot see it happen, once it is shown: who acts upon what was said finds it there. */
export function speak(words: string): void {
  onceShown(() => {
    const place = document.getElementById("spoken");
    if (place) place.textContent = words;
  });
}
