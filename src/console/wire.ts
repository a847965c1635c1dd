/**
 * The network of each client on this page: it can be cut, it can be away, and what goes over it can be seen. It takes
 * the place of the browser's WebSocket and `fetch` before a client is made, and clients know nothing of it.
 */

export type Direction = "in" | "out";

/** Where networks are found by the fragment of an address, which never leaves the browser. */
const networks = new Map<string, Network>();

/** What the browser itself has. */
const browser = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch.bind(globalThis) };

/** One client's way to the server. */
export class Network {
  readonly address: string;
  /** Told of each frame. */
  readonly watch: (direction: Direction, frame: string) => void;
  readonly wires = new Set<Wire>();
  #returning: ReturnType<typeof setTimeout> | undefined;

  /** @param base of the server; a client that is given `address` instead goes over this network */
  constructor(base: string, watch: (direction: Direction, frame: string) => void) {
    const name = String(networks.size);
    this.address = `${base}#${name}`;
    this.watch = watch;
    networks.set(name, this);
  }

  get isAway(): boolean {
    return this.#returning !== undefined;
  }

  /** Ends what connection there is, without a word. */
  cut(): void {
    for (const wire of [...this.wires]) wire.cut();
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
class Wire {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly #network: Network | undefined;
  readonly #socket: WebSocket | undefined;

  constructor(address: string, protocols: string[]) {
    this.#network = networkOf(address);
    if (this.#network?.isAway) setTimeout(() => this.onerror?.());
    else this.#socket = this.#open(withoutFragment(address), protocols);
  }

  #open(address: string, protocols: string[]): WebSocket {
    const socket = new browser.WebSocket(address, protocols);
    this.#network?.wires.add(this);
    socket.onmessage = ({ data }) => {
      this.#network?.watch("in", String(data));
      this.onmessage?.({ data });
    };
    socket.onclose = ({ code, reason }) => {
      this.#network?.wires.delete(this);
      this.onclose?.({ code, reason });
    };
    socket.onerror = () => this.onerror?.();
    return socket;
  }

  send(frame: string): void {
    this.#network?.watch("out", frame);
    this.#socket?.send(frame);
  }

  close(): void {
    this.#network?.wires.delete(this);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
    this.#socket.close();
  }

  cut(): void {
    this.onclose?.({ code: 1006, reason: "" });
    this.close();
  }
}

/** Has all clients that are made from now on go over their networks. */
export function installNetworks(): void {
  Reflect.set(globalThis, "WebSocket", Wire);
  Reflect.set(globalThis, "fetch", (address: string, init?: RequestInit) =>
    networkOf(address)?.isAway
      ? Promise.reject(new TypeError("this client is away"))
      : browser.fetch(address, init),
  );
}

function networkOf(address: string): Network | undefined {
  return networks.get(new URL(address).hash.slice(1));
}

function withoutFragment(address: string): string {
  return address.split("#")[0] ?? address;
}
