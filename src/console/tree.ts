/** A channel's tree of objects, as the server tells of it. */
import { find, make } from "./elements.ts";

/** One object of the tree. */
interface Node {
  object: string;
  parent: string | null;
  listeners: number;
  /** Messages that are still on their way to it; null if that is not known. */
  lag: number | null;
}

/** Objects that are drawn. */
const MOST = 200;

/** What keeps a server from telling without a token that allows it. */
const NOT_ALLOWED = [401, 403];

/**
 * Requests a channel's tree and draws it, or a sentence that says why it is unavailable.
 * @param isCurrent asked before anything is drawn: a response to an older choice is dropped
 */
export async function showTree(
  base: string,
  token: string | undefined,
  channel: string,
  isCurrent: () => boolean,
): Promise<void> {
  const tree = find(document, "#tree", HTMLElement);
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/-/channels/${encodeURIComponent(channel)}`, { headers }).catch(
    () => undefined,
  );
  const told: unknown = response?.ok ? await response.json() : undefined;
  if (!isCurrent()) return;
  if (!response?.ok) {
    const isRefused = response !== undefined && NOT_ALLOWED.includes(response.status);
    const why = isRefused ? "It takes a token with the claim 'operate'." : "The server does not tell now.";
    tree.replaceChildren(make("p", "why", why));
    return;
  }
  const nodes = nodesIn(told).slice(0, MOST);
  const most = Math.max(1, ...nodes.map(({ listeners }) => listeners));
  const roots = nodes.filter(({ parent }) => !nodes.some(({ object }) => object === parent));
  tree.replaceChildren(make("ul", "objects", ...roots.map((root) => drawn(root, nodes, most))));
}

/** An object, with its share of what the largest one holds, and those below it. */
function drawn(node: Node, nodes: Node[], most: number): HTMLElement {
  const bar = make("span", "bar");
  bar.style.inlineSize = `${(100 * node.listeners) / most}%`;
  const lag = node.lag === null ? "backlog unknown" : `${counted(node.lag, "message")} behind`;
  const row = make(
    "div",
    "object",
    make("bdi", "", node.object),
    " ",
    make("span", "figures", `${counted(node.listeners, "subscriber")}, ${lag}`),
    bar,
  );
  const below = nodes.filter(({ parent }) => parent === node.object);
  const item = make("li", "", row);
  if (below.length > 0) item.append(make("ul", "", ...below.map((child) => drawn(child, nodes, most))));
  return item;
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count.toLocaleString()} ${noun}s`;
}

function nodesIn(told: unknown): Node[] {
  if (typeof told !== "object" || told === null || !("objects" in told)) return [];
  return Array.isArray(told.objects) ? told.objects.filter(isNode) : [];
}

function isNode(told: unknown): told is Node {
  if (typeof told !== "object" || told === null) return false;
  if (!("object" in told && "parent" in told && "listeners" in told && "lag" in told)) return false;
  const isNamed =
    typeof told.object === "string" && (told.parent === null || typeof told.parent === "string");
  return isNamed && typeof told.listeners === "number" && (told.lag === null || typeof told.lag === "number");
}
