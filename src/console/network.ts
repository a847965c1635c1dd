/**
 * A network for each client of the page, which replaces the browser's `WebSocket` and `fetch`. It shows the traffic, and
 * can be cut or taken offline.
 */
import type { FetchLike, WebSocketConstructor, WebSocketLike } from "../client/fanout.ts";
import type { Direction } from "./direction.ts";

/** One client's network. */
export class Network {
  /** Called with each frame. */
  readonly onFrame: (direction: Direction, frame: string) => void;
  readonly sockets = new Set<TracedSocket>();
  readonly WebSocket: WebSocketConstructor;
  readonly fetch: FetchLike;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(onFrame: (direction: Direction, frame: string) => void) {
    this.onFrame = onFrame;
    const network = this;
    this.WebSocket = class extends TracedSocket {
      constructor(address: string, protocols: string[]) {
        super(network, address, protocols);
      }
    };
    this.fetch = (address, init) =>
      this.isOffline ? Promise.reject(new TypeError("this client is offline")) : fetch(address, init);
  }

  get isOffline(): boolean {
    return this.#timer !== undefined;
  }

  /** Breaks all connections without a close frame. */
  cut(): void {
    for (const socket of [...this.sockets]) socket.cut();
  }

  /** Breaks all connections, and blocks new ones for a time in milliseconds. */
  goOffline(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#goOnline(), milliseconds);
    this.cut();
  }

  #goOnline(): void {
    this.#timer = undefined;
    // Browsers fire this event when the network is back.
    window.dispatchEvent(new Event("online"));
  }
}

/** A WebSocket that reports its frames, and can be cut. */
class TracedSocket implements WebSocketLike {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly #network: Network;
  readonly #socket: WebSocket | undefined;

  constructor(network: Network, address: string, protocols: string[]) {
    this.#network = network;
    if (network.isOffline) setTimeout(() => this.onerror?.());
    else this.#socket = this.#open(address, protocols);
  }

  #open(address: string, protocols: string[]): WebSocket {
    const socket = new WebSocket(address, protocols);
    this.#network.sockets.add(this);
    socket.onmessage = ({ data }) => {
      this.#network.onFrame("in", String(data));
      this.onmessage?.({ data });
    };
    socket.onclose = ({ code, reason }) => {
      this.#network.sockets.delete(this);
      this.onclose?.({ code, reason });
    };
    socket.onerror = () => this.onerror?.();
    return socket;
  }

  send(frame: string): void {
    this.#network.onFrame("out", frame);
    this.#socket?.send(frame);
  }

  close(): void {
    this.#network.sockets.delete(this);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
    this.#socket.close();
  }

  cut(): void {
    this.onclose?.({ code: 1006, reason: "you cut the connection" });
    this.close();
  }
}
