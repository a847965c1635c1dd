/** Shows the tree of objects that carry a channel. */
import { make } from "./elements.ts";
import { counted } from "./wording.ts";

/** One object of the tree. */
interface Node {
  object: string;
  parent: string | null;
  listeners: number;
  /** Messages not yet delivered to it; null if unknown. */
  lag: number | null;
}

/** Most objects shown. */
const MAX_OBJECTS = 200;

/** Statuses of requests whose token lacks the claim. */
const NOT_ALLOWED = [401, 403];

/**
 * Fetches and shows a channel's tree, or a sentence that says why it is unavailable.
 * @param isCurrent returns false if a newer request has replaced this one; its response is then dropped
 */
export async function showTree(
  tree: HTMLElement,
  base: string,
  token: string | undefined,
  channel: string,
  isCurrent: () => boolean,
): Promise<void> {
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/-/channels/${encodeURIComponent(channel)}`, { headers }).catch(() => undefined);
  const value: unknown = response?.ok ? await response.json() : undefined;
  if (!isCurrent()) return;
  if (!response?.ok) {
    const isRefused = response !== undefined && NOT_ALLOWED.includes(response.status);
    const why = isRefused ? "This needs a token with the claim 'operate'." : "The server can't provide it now.";
    tree.replaceChildren(make("p", "why", why));
    return;
  }
  const nodes = nodesIn(value).slice(0, MAX_OBJECTS);
  const most = Math.max(1, ...nodes.map(({ listeners }) => listeners));
  const roots = nodes.filter(({ parent }) => !nodes.some(({ object }) => object === parent));
  tree.replaceChildren(make("ul", "objects", ...roots.map((root) => rowOf(root, nodes, most))));
}

/** Creates the row of an object, with a bar that shows its subscribers relative to the largest, and its children. */
function rowOf(node: Node, nodes: Node[], most: number): HTMLElement {
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
  if (below.length > 0) item.append(make("ul", "", ...below.map((child) => rowOf(child, nodes, most))));
  return item;
}

function nodesIn(value: unknown): Node[] {
  if (typeof value !== "object" || value === null || !("objects" in value)) return [];
  return Array.isArray(value.objects) ? value.objects.filter(isNode) : [];
}

function isNode(value: unknown): value is Node {
  if (typeof value !== "object" || value === null) return false;
  if (!("object" in value && "parent" in value && "listeners" in value && "lag" in value)) return false;
  const isNamed = typeof value.object === "string" && (value.parent === null || typeof value.parent === "string");
  return isNamed && typeof value.listeners === "number" && (value.lag === null || typeof value.lag === "number");
}
