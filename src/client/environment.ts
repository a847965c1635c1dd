/** What a client gets from its runtime: time, randomness and the network. Simulations pass in their own. */
import type { RequestSocket } from "./requests.ts";
import type { FetchLike, WebSocketConstructor } from "./types.ts";

export interface Environment {
  /** A monotonic clock, in milliseconds. */
  now(): number;
  /** The time since 1970, in milliseconds, by a clock that may be wrong. */
  date(): number;
  /** A random number from 0 up to, but not including, 1. */
  random(): number;
  /** A unique idempotency key. */
  newKey(): string;
  /** Calls `act` once after a delay in milliseconds; returns a function that cancels it. */
  later(milliseconds: number, act: () => void): Cancel;
  /** Calls `wake` when the network or the page is back; returns a function that ends that. */
  onWaking(wake: () => void): Cancel;
  /** Loads the replacement for a `WebSocket`. @throws Error if that fails */
  loadRequests(): Promise<{ RequestSocket: typeof RequestSocket }>;
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly fetch: FetchLike;
  /** The page's address, if any. */
  readonly location: string | undefined;
}

export type Cancel = () => void;

/** Globals of pages and workers. Other runtimes lack some; React Native's `window` has no events. */
interface Page {
  setTimeout: unknown;
  location?: { href: string };
  document?: { hidden: boolean };
  addEventListener?(event: string, listener: () => void): void;
  removeEventListener?(event: string, listener: () => void): void;
}

const page: Page = globalThis;

/** The longest delay of a timer; with longer ones it fires at once. */
const MAX_DELAY = 2 ** 31 - 1;

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
      const timer = setTimeout(act, Math.min(milliseconds, MAX_DELAY));
      return () => clearTimeout(timer);
    },
    onWaking,
    loadRequests: () => import("./requests.ts"),
    // Undefined in Node 20.
    WebSocket: given.WebSocket ?? globalThis.WebSocket,
    // Browsers' `fetch` throws if called as a method of another object.
    fetch: given.fetch ?? ((url, init) => fetch(url, init)),
    location: page.location?.href,
  };
}

/** Pages without TLS lack `randomUUID`, and React Native lacks `crypto`. */
function newKey(): string {
  return globalThis.crypto?.randomUUID?.() ?? `${Math.random()}-${Math.random()}`;
}

/** Only browsers and workers fire these events. */
const EVENTS = ["online", "pageshow", "visibilitychange"];

function onWaking(wake: () => void): Cancel {
  const wakeIfVisible = () => {
    if (!page.document?.hidden) wake();
  };
  for (const event of EVENTS) page.addEventListener?.(event, wakeIfVisible);
  return () => {
    for (const event of EVENTS) page.removeEventListener?.(event, wakeIfVisible);
  };
}
