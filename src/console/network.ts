/**
 * The network of each client on this page: it can be cut, it can be away, and what goes over it can be seen. A client
 * uses it instead of the browser's `WebSocket` and `fetch`.
 */
import type { FetchLike, WebSocketConstructor, WebSocketLike } from "../client/fanout.ts";

export type Direction = "in" | "out";

/** One client's way to the server. */
export class Network {
  /** Told of each frame. */
  readonly watch: (direction: Direction, frame: string) => void;
  readonly sockets = new Set<TracedSocket>();
  readonly WebSocket: WebSocketConstructor;
  readonly fetch: FetchLike;
  #returning: ReturnType<typeof setTimeout> | undefined;

  constructor(watch: (direction: Direction, frame: string) => void) {
    this.watch = watch;
    const network = this;
    this.WebSocket = class extends TracedSocket {
      constructor(address: string, protocols: string[]) {
        super(network, address, protocols);
      }
    };
    this.fetch = (address, init) =>
      this.isAway ? Promise.reject(new TypeError("this client is away")) : fetch(address, init);
  }

  get isAway(): boolean {
    return this.#returning !== undefined;
  }

  /** Ends what connection there is, without a word. */
  cut(): void {
    for (const socket of [...this.sockets]) socket.cut();
  }

  /** Cuts it, and lets nothing through for so many milliseconds. */
  leave(milliseconds: number): void {
    clearTimeout(this.#returning);
    this.#returning = setTimeout(() => this.#comeBack(), milliseconds);
    this.cut();
  }

  #comeBack(): void {
    this.#returning = undefined;
    // As a browser says it when there is a network again.
    window.dispatchEvent(new Event("online"));
  }
}

/** What a client takes for a WebSocket. */
class TracedSocket implements WebSocketLike {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly #network: Network;
  readonly #socket: WebSocket | undefined;

  constructor(network: Network, address: string, protocols: string[]) {
    this.#network = network;
    if (network.isAway) setTimeout(() => this.onerror?.());
    else this.#socket = this.#open(address, protocols);
  }

  #open(address: string, protocols: string[]): WebSocket {
    const socket = new WebSocket(address, protocols);
    this.#network.sockets.add(this);
    socket.onmessage = ({ data }) => {
      this.#network.watch("in", String(data));
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
    this.#network.watch("out", frame);
    this.#socket?.send(frame);
  }

  close(): void {
    this.#network.sockets.delete(this);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
    this.#socket.close();
  }

  cut(): void {
    this.onclose?.({ code: 1006, reason: "" });
    this.close();
  }
}
