// A description of elements, and the patch that makes the document agree with it. Children are matched by key, so that an
// element keeps its focus, its selection and what was typed into it while others come, go and move around it. Text becomes text
// nodes only: nothing that comes from outside is ever read as markup.

type Listener = (event: never) => void;
type Value = string | number | boolean | null | undefined | Listener;

export interface Described {
  tag: string;
  key: string | undefined;
  props: Record<string, Value>;
  children: (Described | string)[];
}

export type Child = Described | string | number | false | null | undefined | Child[];

const SVG = "http://www.w3.org/2000/svg";

/** What the document shows of an element, remembered to find out what changed. */
const shown = new WeakMap<Element, Described>();
const listeners = new WeakMap<Element, Map<string, Listener>>();

/**
 * Describes an element. `key` tells it from its siblings, `on…` listens, `value` and `checked` are what a field holds, `focused` gives it
 * the focus when it appears; all else are attributes.
 */
export function h(tag: string, props: Record<string, Value> | null, ...children: Child[]): Described {
  const { key, ...rest } = props ?? {};
  return { tag, key: key === undefined ? undefined : String(key), props: rest, children: flat(children) };
}

function flat(children: Child[], into: (Described | string)[] = []): (Described | string)[] {
  for (const child of children) {
    if (Array.isArray(child)) flat(child, into);
    else if (child !== false && child !== null && child !== undefined)
      into.push(typeof child === "number" ? String(child) : child);
  }
  return into;
}

/** Makes the children of `parent` what is described. */
export function render(parent: Element, ...children: Child[]): void {
  const focused = document.activeElement;
  patchChildren(parent, flat(children));
  // Moving an element in the document takes its focus away.
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected)
    focused.focus({ preventScroll: true });
}

function patchChildren(parent: Element, children: (Described | string)[]): void {
  const keyed = new Map<string, Element>();
  for (const child of parent.children) {
    const key = shown.get(child)?.key;
    if (key !== undefined) keyed.set(key, child);
  }
  let next: ChildNode | null = parent.firstChild;
  for (const child of children) {
    const old = reusable(child, next, keyed);
    const node =
      typeof child === "string" ? patchText(old as Text | null, child) : patchElement(old as Element | null, child, parent);
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  while (next) {
    const after: ChildNode | null = next.nextSibling;
    next.remove();
    next = after;
  }
}

function reusable(child: Described | string, next: ChildNode | null, keyed: Map<string, Element>): ChildNode | null {
  if (typeof child === "string") return next instanceof Text ? next : null;
  if (child.key !== undefined) {
    const old = keyed.get(child.key);
    return old && shown.get(old)?.tag === child.tag ? old : null;
  }
  const old = next instanceof Element ? shown.get(next) : undefined;
  return old && old.tag === child.tag && old.key === undefined ? next : null;
}

function patchText(old: Text | null, text: string): Text {
  if (!old) return document.createTextNode(text);
  if (old.data !== text) old.data = text;
  return old;
}

function patchElement(old: Element | null, node: Described, parent: Element): Element {
  const isSvg = node.tag === "svg" || (parent.namespaceURI === SVG && parent.tagName !== "foreignObject");
  const element = old ?? (isSvg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag));
  const before = shown.get(element);
  shown.set(element, node);
  patchProps(element, before?.props ?? {}, node.props);
  patchChildren(element, node.children);
  // A select takes its value from its options, which are there only now.
  if (element instanceof HTMLSelectElement && "value" in node.props) element.value = String(node.props["value"]);
  if (!old && node.props["focused"]) queueMicrotask(() => (element as HTMLElement).focus());
  return element;
}

function patchProps(element: Element, before: Record<string, Value>, now: Record<string, Value>): void {
  for (const name in before) if (!(name in now)) patchProp(element, name, before[name], null);
  for (const name in now) patchProp(element, name, before[name], now[name]);
}

function patchProp(element: Element, name: string, before: Value, now: Value): void {
  if (name === "focused") return;
  if (name.startsWith("on")) return listen(element, name.slice(2), typeof now === "function" ? now : null);
  if (name === "value" && (element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement)) {
    if (element.value !== String(now ?? "")) element.value = String(now ?? "");
  } else if (name === "checked" && element instanceof HTMLInputElement) {
    element.checked = now === true;
  } else if (before !== now && name !== "value") {
    if (now === false || now === null || now === undefined) element.removeAttribute(name);
    else element.setAttribute(name, now === true ? "" : String(now));
  } else if (name === "value" && element instanceof HTMLOptionElement) {
    element.value = String(now ?? "");
  }
}

function listen(element: Element, event: string, listener: Listener | null): void {
  let all = listeners.get(element);
  if (!all) listeners.set(element, (all = new Map()));
  if (!all.has(event)) element.addEventListener(event, (happened) => all.get(event)?.(happened as never));
  if (listener) all.set(event, listener);
  else all.delete(event);
}
