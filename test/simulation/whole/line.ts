/** A connection to an object: its socket, and what is on its way in both directions. */
import type { Objects } from "../objects.ts";
import { type Reader, SimulatedSocket } from "../socket.ts";
import type { Pending } from "./clock.ts";
import type { Goal } from "./coverage.ts";

/** The other end of a connection. */
export interface Peer {
  frame(text: string): void;
  closed(code: number, reason: string): void;
}

/** The command that the runtime answers without waking the object, and its answer. */
const KEEPALIVE = "keepalive\n";
const ALIVE = "debug!alive\n";

interface Surroundings {
  readonly objects: Objects;
  choose(among: number): number;
  cover(goal: Goal): void;
  record(what: string): void;
}

export class Line implements Reader {
  readonly name: string;
  readonly socket: SimulatedSocket;
  readonly #home: string;
  readonly #objects: Objects;
  readonly #choose: (among: number) => number;
  readonly #cover: (goal: Goal) => void;
  readonly #record: (what: string) => void;
  /** Receives what the object sends; undefined until the connection is accepted, and after its end. */
  peer: Peer | undefined;
  /** Whether nothing gets through any more, and neither end knows. */
  isStalled = false;
  /** Whether the client's end is still open. */
  open = true;
  /** Whether the object knows, or needn't know, that the connection has ended. */
  isOver = false;
  /** Events on their way to the object. */
  readonly #up: Pending[] = [];

  /** @param home the object's name */
  constructor(name: string, home: string, { objects, choose, cover, record }: Surroundings) {
    this.name = name;
    this.#home = home;
    this.#objects = objects;
    this.#choose = choose;
    this.#cover = cover;
    this.#record = record;
    this.socket = new SimulatedSocket(this, true, () => {});
  }

  // --- the client's end

  send(frame: string): void {
    if (!this.open) return;
    this.#up.push({ label: `${this.name} > ${frame}`, happen: () => this.#receive(frame) });
  }

  #receive(frame: string): void {
    const { socket } = this;
    if (!socket.open) return;
    if (frame === KEEPALIVE) socket.unread.push({ bytes: 0, read: () => this.read(ALIVE) });
    else this.#objects.event(this.#home, 1).received(socket, frame);
  }

  /** Closes the connection; frames that were sent before still reach the object. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.peer = undefined;
    if (this.isStalled) this.#up.length = 0;
    this.isStalled = false;
    this.#leave();
  }

  /** Breaks the connection: some of the frames on their way to the client still arrive. */
  cut(code = 1006, reason = ""): void {
    if (!this.open) return;
    this.#up.length = 0;
    this.#leave();
    this.#endAfterSome(code, reason);
  }

  #endAfterSome(code: number, reason: string): void {
    const { unread } = this.socket;
    unread.length = Math.min(unread.length, this.#choose(4));
    unread.push({ bytes: 0, read: () => this.#end(code, reason) });
  }

  #end(code: number, reason: string): void {
    this.#record(`  ${code} ${reason}`);
    if (reason.startsWith("expired:")) this.#cover("an expired token");
    this.open = false;
    const { peer } = this;
    this.peer = undefined;
    peer?.closed(code, reason);
  }

  /** Reports the end of the connection to the object. */
  #leave(): void {
    this.#up.push({ label: `${this.name} leaves ${this.#home}`, happen: () => this.#left() });
  }

  #left(): void {
    const { socket } = this;
    const object = this.#objects.of(this.#home);
    this.isOver = true;
    socket.open = false;
    if (!this.open) socket.unread.length = 0;
    if (!object.sockets.includes(socket)) return;
    this.#objects.event(this.#home, 1).closed(socket);
    object.sockets = object.sockets.filter((other) => other !== socket);
  }

  /** The events that can happen next. */
  pending(): Pending[] {
    if (this.isStalled) return [];
    const { unread } = this.socket;
    const events: Pending[] = [];
    const [up] = this.#up;
    if (up && !this.#objects.isHolding(this.#home)) {
      events.push({ label: up.label, happen: () => this.#up.shift()?.happen() });
    }
    if (this.peer && unread.length > 0) {
      events.push({ label: `${this.name} reads`, happen: () => unread.shift()?.read() });
    }
    return events;
  }

  // --- the object's end, see `Reader`

  read(frame: string): void {
    this.#record(`  ${JSON.stringify(frame)}`);
    if (frame.includes("debug!token accepted")) this.#cover("a token renewed");
    this.peer?.frame(frame);
  }

  ended(code: number, reason: string): void {
    this.#up.length = 0;
    this.isOver = true;
    this.#endAfterSome(code, reason);
  }

  closing(): void {}

  closedByServer(code: number, reason: string): void {
    this.#end(code, reason);
    this.#leave();
  }

  sent(): void {}
}
