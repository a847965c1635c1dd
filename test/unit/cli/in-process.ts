/** Runs the program `fanout` in this process, against a server that the test plays. */

import type { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { vi } from "vitest";

/** The end of a connection. */
export interface Closed {
  code: number;
  reason: string;
}

/** What a run of the program finds. */
export interface Surroundings {
  env?: Record<string, string>;
  /** Returns standard input: a new one for each run. */
  input?: () => AsyncIterable<Uint8Array>;
  /** Replies to each line that the program sends: lines, and the end of the connection. */
  reply?: (line: string) => (string | Closed)[];
  /** Responds to requests of `fetch`. */
  respond?: () => Promise<Response>;
  /** Receives all that is printed; what it throws ends the program. */
  consume?: (text: string) => void;
  /** The failure of each write to standard output. */
  unwritable?: Error;
  /** What writes to standard output throw, which no command expects. */
  fault?: Error;
  /** A signal that the program gets as soon as it has sent or printed a text. */
  signal?: ["SIGINT" | "SIGTERM", after: string];
  /** Whether the program is killed, as by SIGKILL: it gets and prints nothing more. */
  isKilled?: () => boolean;
}

/** Ends a run where `process.exit` would. */
class Ended extends Error {}

/** A server that greets, and replies as a function says; without one, the connection can't be opened. */
function socketOf({ reply }: Surroundings, sent: (line: string) => void, closed: () => void) {
  return class {
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;
    onerror: (() => void) | null = null;

    constructor(address: string) {
      const channel = decodeURIComponent(new URL(address).pathname.slice(1));
      const [from = []] = new URL(address).searchParams;
      void turn().then(() => {
        if (!reply) return this.onclose?.({ code: 1006, reason: "" });
        this.onmessage?.({ data: "debug!connected...\n" });
        // The server subscribes the connection to the channel in its address.
        if (channel !== "") this.#answer(reply(`subscribe ${channel} ${from.join(" ")}`));
      });
    }

    send(frame: string): void {
      for (const line of frame.trimEnd().split("\n")) {
        sent(line);
        void turn().then(() => this.#answer(reply?.(line) ?? []));
      }
    }

    #answer(replies: (string | Closed)[]): void {
      for (const each of replies) {
        if (typeof each === "string") this.onmessage?.({ data: `${each}\n` });
        else this.onclose?.(each);
      }
    }

    close(): void {
      closed();
    }
  };
}

/** Removes the listeners that are added to an emitter until the returned function is called. */
function forgetting(emitter: EventEmitter, ...names: string[]): () => void {
  const before = names.flatMap((name) => emitter.listeners(name));
  return () => {
    for (const name of names) {
      for (const listener of emitter.rawListeners(name)) {
        if (!before.includes(listener)) Reflect.apply(emitter.off, emitter, [name, listener]);
      }
    }
  };
}

/**
 * Runs the program to its end; returns its exit code, its output, the lines that it sent, and whether it closed a
 * connection.
 */
export async function runHere(words: string[], surroundings: Surroundings = {}) {
  const { env = {}, input = () => Readable.from([]), respond, unwritable, fault, signal, isKilled } = surroundings;
  let [code, out, err, sent]: [number | undefined, string, string, string] = [undefined, "", "", ""];
  let isClosed = false;
  const forget = [
    forgetting(process, "SIGINT", "SIGTERM", "uncaughtException"),
    forgetting(process.stdout, "error"),
    forgetting(process.stderr, "error"),
  ];
  vi.resetModules();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  vi.stubGlobal(
    "WebSocket",
    socketOf(
      surroundings,
      (line) => (sent += `${line}\n`),
      () => (isClosed = true),
    ),
  );
  vi.stubGlobal("fetch", respond ?? (() => Promise.reject(new TypeError("fetch failed"))));
  for (const name of ["FANOUT_URL", "FANOUT_TOKEN", "TOKEN_SECRET"]) vi.stubEnv(name, env[name]);
  const stdin = Object.getOwnPropertyDescriptor(process, "stdin") ?? {};
  Object.defineProperty(process, "stdin", { configurable: true, value: Readable.from(input()) });
  const spies = [
    vi.spyOn(process, "argv", "get").mockReturnValue(["node", "fanout", ...words]),
    vi.spyOn(process, "exit").mockImplementation((given) => {
      code ??= Number(given);
      throw new Ended();
    }),
    vi.spyOn(process.stdout, "write").mockImplementation((text, ...rest) => {
      if (fault) throw fault;
      surroundings.consume?.(String(text));
      out += String(text);
      for (const done of rest) if (typeof done === "function") done(unwritable ?? null);
      return true;
    }),
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      // Node warns of files that programs left open which would have ended; they are closed at some later time.
      if (!/^\((node:\d+\) |Use `node)/.test(String(text))) err += String(text);
      return true;
    }),
  ];
  try {
    const run = import("../../../src/cli/main.ts").catch((error: unknown) => {
      if (!(error instanceof Ended)) throw error;
    });
    let isOver = false;
    void run.finally(() => {
      isOver = true;
    });
    while (!isOver && code === undefined && !isKilled?.()) {
      await turn();
      await vi.advanceTimersByTimeAsync(20);
      if (signal && `${out}${err}${sent}`.includes(signal[1])) interrupt(signal[0]);
    }
    if (isOver) await run;
    return { code, out, err, sent, isClosed };
  } finally {
    for (const spy of spies) spy.mockRestore();
    for (const removeAll of forget) removeAll();
    Object.defineProperty(process, "stdin", stdin);
    vi.unstubAllGlobals();
    vi.unstubAllEnvs();
    vi.useRealTimers();
  }
}

function interrupt(signal: "SIGINT" | "SIGTERM"): void {
  try {
    process.emit(signal, signal);
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
  }
}
