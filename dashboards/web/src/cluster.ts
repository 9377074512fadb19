// The node and its cluster: members, processes, lists and what happens to them.

import { Unreachable, get } from "./api.ts";
import * as list from "./list.ts";
import { describe, isWorthSaying } from "./words.ts";
import { NO_ANSWER, onceBack, reachable, unreachable } from "./reach.ts";
import * as outbox from "./outbox.ts";
import { recognise } from "./session.ts";
import { giveBack } from "./slots.ts";
import { changed, speak, state } from "./state.ts";
import { Stream } from "./stream.ts";
import type { EventKind, Happened, Heal, List, Member, NodeInfo, Page, Partition, Process, ReachRow, Status } from "./types.ts";

const KEPT = 300;
/** How many events that the node has kept are shown from the start. */
const PAST = 200;
/** Round trips have no event, nor has a disk that fills. */
const MEMBERS_EVERY_MS = 5_000;
/** What happens together is asked for once. */
const MEMBERS_AFTER_MS = 30;
const PROCESSES_AFTER_MS = 150;
const LISTS = 200;
const PROCESSES = 200;
const HEALS = 5;

let events: Stream | null = null;
/** The kept events come before the snapshot: they are shown, and say nothing of how things are. */
let isPast = true;
let number = 0;
const soonMembers = debounced(MEMBERS_AFTER_MS, () => refreshMembers());
const soonHeals = debounced(PROCESSES_AFTER_MS, () => refreshHeals());
const soonProcesses = debounced(PROCESSES_AFTER_MS, () => refreshProcesses());

function debounced(ms: number, call: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      call();
    }, ms);
  };
}

/** Begins, once there is a token. */
export function start(): void {
  setInterval(() => {
    if (document.hidden || state.session !== "good") return;
    if (!state.isSure) return retry();
    refreshMembers();
    if (state.heals.some((heal) => heal.state === "open")) refreshHeals();
  }, MEMBERS_EVERY_MS);
  onceBack(() => {
    retry();
    refreshAll();
  });
  restart();
}

/** Goes on with a new token. All else is asked for when the stream is there, so that nothing falls between. */
export function restart(): void {
  events ??= new Stream(`/v1/events?last=${PAST}`, { event: happened, up: opened, down: unreachable, missing: () => {} });
  retry();
}

function opened(begins: boolean): void {
  isPast = begins;
  if (begins) state.happened = [];
  reachable();
}

/** Keeps nothing of what the node has told. */
export function forget(): void {
  events?.close();
  events = null;
  list.close();
  state.node = null;
  state.isSure = false;
  state.members = [];
  state.partition = null;
  state.attention = [];
  state.healed = null;
  state.heals = [];
  state.matrix = { rows: [], at: null, isBusy: false, error: null };
  state.happened = [];
  state.editor = null;
  state.lists = { items: new Map(), hasMore: false, match: "" };
  state.processes = { items: [], hasMore: false, prefix: "" };
}

/** Tries all that waits for the node. */
export function retry(): void {
  if (state.session !== "good") return;
  events?.retry();
  list.retry();
  void identify().then(() => {
    if (state.isSure) refreshMembers();
  });
}

/** Asks who answers. What this page shows, and what it changes, is this node's only. */
function identify(): Promise<void> {
  return quietly(async () => {
    const node = await get<NodeInfo>("/v1/node");
    if (state.session !== "good") return;
    if (!recognise(node.id)) return stop(node);
    state.node = node;
    state.isSure = true;
    outbox.hurry();
  });
}

/** Another node answers: nothing more is asked of it, and nothing sent. */
function stop(stranger: NodeInfo): void {
  state.session = "elsewhere";
  state.isSure = false;
  state.stranger = stranger;
  pause();
  speak("Another node answers here. This page has stopped.");
}

/** Gives the connections back until `retry`. */
export function pause(): void {
  events?.pause();
  list.pause();
  giveBack();
}

/** Does what needs the node; that it does not answer is told elsewhere. */
async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work();
    changed();
    // A call may fail while the streams go on.
    if (state.reach.why === NO_ANSWER) reachable();
  } catch (error) {
    if (error instanceof Unreachable) unreachable(NO_ANSWER);
  }
}

/** Asks for all but the open list, which has a stream of its own. */
export function refreshAll(): void {
  void identify().then(() => {
    if (!state.isSure) return;
    refreshMembers();
    refreshHeals();
    refreshLists();
    refreshProcesses();
  });
}

function refreshMembers(): void {
  void quietly(async () => {
    const [members, status] = await Promise.all([get<Page<Member>>("/v1/members?limit=1000"), get<Status>("/v1/status")]);
    state.members = members.items;
    state.attention = status.attention;
    take(status.partition);
  });
}

function refreshHeals(): void {
  void quietly(async () => {
    state.heals = (await get<Page<Heal>>(`/v1/heals?limit=${HEALS}`)).items;
  });
}

/** Asks all members whom they reach, which takes some seconds where one does not answer. */
export function askReach(): void {
  state.matrix = { ...state.matrix, isBusy: true, error: null };
  changed();
  void get<{ items: ReachRow[] }>("/v1/reach").then(
    ({ items }) => {
      state.matrix = { rows: items, at: new Date().toISOString(), isBusy: false, error: null };
      changed();
    },
    (error: unknown) => {
      const words = error instanceof Error ? error.message : String(error);
      state.matrix = { ...state.matrix, isBusy: false, error: words };
      changed();
    },
  );
}

function take(partition: Partition): void {
  const before = state.partition;
  state.partition = partition;
  if (before && before.verdict !== "whole" && partition.verdict === "whole") {
    state.healed = partition.since;
  } else if (partition.verdict !== "whole") {
    state.healed = null;
  }
}

export function refreshLists(): void {
  const match = state.lists.match;
  void quietly(async () => {
    const query = match === "" ? "" : `&match=${encodeURIComponent(match)}`;
    const page = await get<Page<List>>(`/v1/lists?limit=${LISTS}${query}`);
    if (match !== state.lists.match) return;
    state.lists.items = new Map(page.items.map((item) => [item.name, item]));
    state.lists.hasMore = page.next !== null;
    const first = page.items[0];
    const wanted = list.lastOpen() ?? first?.name;
    if (!state.open && wanted !== undefined && match === "" && state.naming === "") list.open(wanted);
  });
}

export function refreshProcesses(): void {
  const prefix = state.processes.prefix;
  void quietly(async () => {
    const query = prefix === "" ? "" : `&prefix=${encodeURIComponent(prefix)}`;
    const page = await get<Page<Process>>(`/v1/processes?limit=${PROCESSES}${query}`);
    if (prefix === state.processes.prefix) state.processes = { prefix, items: page.items, hasMore: page.next !== null };
  });
}

const FOLLOWED: Record<EventKind, (event: Happened) => void> = {
  member: memberHappened,
  process: soonProcesses,
  list: listHappened,
  partition: memberHappened,
};

function memberHappened(): void {
  soonMembers();
  soonHeals();
}

function happened(name: string, data: unknown): void {
  if (name === "snapshot") {
    isPast = false;
    if ((data as { last: boolean }).last) refreshAll();
    return;
  }
  const event = data as Happened;
  note(event);
  if (isPast) return changed();
  if (isWorthSaying(event)) speak(describe(event));
  FOLLOWED[event.kind](event);
  changed();
}

/** Puts an event into the log. A list that changes all the time has one line there. */
function note(event: Happened): void {
  const [last, ...rest] = state.happened;
  const isSame = last?.kind === "list" && event.kind === "list" && last.name === event.name && last.type === event.type;
  number += 1;
  const times = isSame ? last.times + 1 : 1;
  state.happened = [{ ...event, number: isSame ? last.number : number, times }, ...(isSame ? rest : state.happened)].slice(
    0,
    KEPT,
  );
}

function listHappened(event: Happened): void {
  const { items, match } = state.lists;
  const known = items.get(event.name);
  if (event.type === "deleted") {
    items.delete(event.name);
  } else if (known || (items.size < LISTS && event.name.toLocaleLowerCase().includes(match.toLocaleLowerCase()))) {
    items.set(event.name, {
      name: event.name,
      total: Number(event["total"]),
      open: Number(event["open"]),
      modified_at: event.at,
    });
  } else {
    state.lists.hasMore = true;
  }
  if (event.name === state.open?.name && !state.open.exists) list.retry();
}
