/** What a client needs of its surroundings: time, chance and the network. A simulation passes in its own. */
import type { RequestSocket } from "./requests.ts";
import type { FetchLike, WebSocketConstructor } from "./types.ts";

export interface Environment {
  /** Milliseconds since some moment; never goes backwards. */
  now(): number;
  /** Milliseconds since 1970, by a clock that may be wrong. */
  date(): number;
  /** From 0 to 1, without 1. */
  random(): number;
  /** A key that nothing else has. */
  newKey(): string;
  /** Calls `act` once after so many milliseconds; returns a function that cancels that. */
  later(milliseconds: number, act: () => void): Cancel;
  /** Calls `look` when the network or the page is back; returns a function that ends that. */
  onWaking(look: () => void): Cancel;
  /** Loads the part of the client that does without a `WebSocket`. @throws Error if it can't be loaded */
  loadRequests(): Promise<{ RequestSocket: typeof RequestSocket }>;
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly fetch: FetchLike;
  /** The address of the page, if there is one. */
  readonly location: string | undefined;
}

export type Cancel = () => void;

/** What a page or a worker offers; other runtimes do so in part, and React Native has a `window` without events. */
interface Page {
  setTimeout: unknown;
  location?: { href: string };
  document?: { hidden: boolean };
  addEventListener?(event: string, listener: () => void): void;
  removeEventListener?(event: string, listener: () => void): void;
}

const page: Page = globalThis;

/** The longest that a timer runs; a longer one would go off at once. */
const LONGEST = 2 ** 31 - 1;

/** Reads the surroundings that this runtime offers. */
export function environmentOf(given: {
  WebSocket?: WebSocketConstructor | undefined;
  fetch?: FetchLike | undefined;
}): Environment {
  return {
    now: () => performance.now(),
    date: Date.now,
    random: Math.random,
    newKey,
    later: (milliseconds, act) => {
      const timer = setTimeout(act, Math.min(milliseconds, LONGEST));
      return () => clearTimeout(timer);
    },
    onWaking,
    loadRequests: () => import("./requests.ts"),
    // Node 20 has none.
    WebSocket: given.WebSocket ?? globalThis.WebSocket,
    // Browsers refuse a `fetch` that is called as a method of something else.
    fetch: given.fetch ?? ((url, init) => fetch(url, init)),
    location: page.location?.href,
  };
}

/** Pages without TLS have no `randomUUID`, and React Native has no `crypto`. */
function newKey(): string {
  return globalThis.crypto?.randomUUID?.() ?? `${Math.random()}-${Math.random()}`;
}

/** Browsers and workers announce these; other runtimes never do. */
const EVENTS = ["online", "pageshow", "visibilitychange"];

function onWaking(look: () => void): Cancel {
  const wake = () => {
    if (!page.document?.hidden) look();
  };
  for (const event of EVENTS) page.addEventListener?.(event, wake);
  return () => {
    for (const event of EVENTS) page.removeEventListener?.(event, wake);
  };
}
