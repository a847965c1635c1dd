/** Sockets of one object, and its connections, without a network. */
import { Connections } from "../../src/session/connections.ts";
import type { Socket } from "../../src/session/socket.ts";

/** A socket whose client reads at once, unless the test sets `bufferedAmount`. */
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

/** Returns what the runtime offers an object that wakes with these sockets. */
export function socketsOf(...sockets: Socket[]) {
  return { acceptWebSocket: () => {}, getWebSockets: () => sockets };
}

/** Creates the connections of an object that wakes with these sockets. */
export function connectionsOf(
  sockets: Socket[] = [],
  limits = { maxBufferedBytes: 1_000_000, maxPendingBytes: 8_000_000 },
): Connections {
  const connections = new Connections(socketsOf(...sockets), limits, () => 0, { flush: () => {} });
  connections.start();
  return connections;
}
