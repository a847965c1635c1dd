/** A fake network, and clients that use it. */
import { onTestFinished, vi } from "vitest";
import { type Change, Fanout, type FanoutOptions } from "../../../src/client/fanout.ts";

/** A fake WebSocket; the test plays the server. */
export class FakeSocket {
  static made: FakeSocket[] = [];
  readonly sent: string[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  isClosed = false;
  readonly url: string;
  readonly protocols: string[];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.made.push(this);
  }

  static get newest(): FakeSocket {
    const newest = FakeSocket.made.at(-1);
    if (!newest) throw new Error("there is no connection");
    return newest;
  }

  send(frame: string): void {
    this.sent.push(frame);
  }

  close(): void {
    this.isClosed = true;
  }

  receive(...lines: string[]): void {
    this.onmessage?.({ data: lines.map((line) => `${line}\n`).join("") });
  }

  end(code: number, reason = ""): void {
    this.onclose?.({ code, reason });
  }

  /** All lines that were sent. */
  get lines(): string[] {
    return this.sent.join("").trimEnd().split("\n");
  }
}

export interface FakeResponse {
  status: number;
  code?: string;
  body?: string;
  retryAfter?: string;
}

/** Installs fake timers, and forgets earlier connections. Returns a function that restores the real timers. */
export function useFakeTime(): () => void {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  FakeSocket.made = [];
  return () => void vi.useRealTimers();
}

/** The methods and addresses of clients' requests. */
export const requests: string[] = [];

/** Runs everything that doesn't depend on a timer. */
export const settle = () => vi.advanceTimersByTimeAsync(0);

/**
 * Creates a client with a fake network.
 * @param respond responds to requests; without it they stay pending
 */
export function connectTo(
  options: Omit<FanoutOptions, "codec"> = {},
  respond?: (method: string, url: string) => FakeResponse,
  address = "wss://host",
) {
  requests.length = 0;
  const changes: Change[] = [];
  const client = new Fanout(address, {
    WebSocket: FakeSocket,
    fetch: (url, { method, signal }) => {
      requests.push(`${method} ${url}`);
      const response = respond?.(method, url);
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
        if (response) resolve(responseOf(response));
      });
    },
    onState: (change) => void changes.push(change),
    ...options,
  });
  onTestFinished(() => client.close({ within: 0 }));
  return { client, changes, states: () => changes.map(({ state }) => state) };
}

function responseOf({ status, code, body = "", retryAfter }: FakeResponse) {
  const headers: Record<string, string | undefined> = { "Fanout-Error": code, "Retry-After": retryAfter };
  return {
    status,
    headers: { get: (name: string) => headers[name] ?? null },
    body: null,
    text: async () => body,
  };
}

/** Greets the newest connection. */
export async function greet(...lines: string[]): Promise<FakeSocket> {
  await settle();
  FakeSocket.newest.receive("debug!connected...", ...lines);
  await settle();
  return FakeSocket.newest;
}

/** Creates a client that is subscribed to `a`, at position 7. */
export async function subscribed(options: Omit<FanoutOptions, "codec"> = {}) {
  const connected = connectTo(options);
  const subscription = connected.client.subscribe("a");
  return { ...connected, subscription, socket: await greet("debug!position a 7") };
}

/** Breaks off the newest connection, and lets time pass. */
export async function breakOff(milliseconds = 1_000): Promise<void> {
  await settle();
  FakeSocket.newest.end(1006);
  await vi.advanceTimersByTimeAsync(milliseconds);
}

/** Creates a token with the given claims. */
export function tokenOf(claims: unknown): string {
  return `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.y`;
}
