/** One object in a runtime whose clock, commits and timers a test controls. */
import type { Grants } from "../../../src/auth/grants.ts";
import type { Guard } from "../../../src/auth/verify.ts";
import { Broker } from "../../../src/object/broker.ts";
import { type Limits, readLimits } from "../../../src/runtime/limits.ts";
import type { RawRuntime } from "../../../src/runtime/runtime.ts";
import type { Socket } from "../../../src/session/socket.ts";
import { fakeRuntime, type Others } from "../tree/fake-runtime.ts";

/** A socket whose client takes what is sent to it at once, unless the test says otherwise. */
export class ClientSocket implements Socket {
  bufferedAmount = 0;
  text = "";
  closed: string | undefined;
  attachment: unknown;

  constructor(attachment?: unknown) {
    this.attachment = attachment;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }

  send(text: string): void {
    this.text += text;
  }

  close(_: number, reason: string): void {
    this.closed = reason;
  }

  serializeAttachment(attachment: unknown): void {
    this.attachment = structuredClone(attachment);
  }

  deserializeAttachment(): unknown {
    return this.attachment;
  }
}

/** Ends when all promises that depend on nothing else have been settled. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) await undefined;
}

interface Options {
  name?: string;
  limits?: Partial<Limits>;
  others?: Others;
  /** Sockets that hibernated with it. */
  slept?: Socket[];
  rows?: Map<string, unknown>;
  /** Checks tokens; none are needed without it. */
  guard?: Guard;
  /** Properties of its runtime in place of those that stand still. */
  platform?: Partial<RawRuntime>;
}

/** Makes an object, `all` unless named otherwise. */
export function objectOf({
  name = "all",
  limits,
  others,
  slept = [],
  rows = new Map(),
  guard,
  platform,
}: Options = {}) {
  const clock = { now: 1_000 };
  const runtime = { ...fakeRuntime(name, rows, others), now: () => clock.now, ...platform };
  const sockets = { acceptWebSocket: () => {}, getWebSockets: () => slept };
  const broker = new Broker(runtime, sockets, { ...readLimits({}), ...limits }, guard).start();
  const open = async (grants?: Grants) => {
    const socket = new ClientSocket();
    broker.opened(socket, "", grants);
    await settled();
    socket.text = "";
    return socket;
  };
  return { broker, clock, open };
}
