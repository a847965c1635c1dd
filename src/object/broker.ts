/** One object of a channel's tree, on any runtime: hands events on to its parts. */
import type { Grants } from "../auth/grants.ts";
import type { Guard } from "../auth/verify.ts";
import type { Frame } from "../protocol/frames.ts";
import type { From } from "../protocol/positions.ts";
import { REVOKED } from "../protocol/refusals.ts";
import type { Calls } from "../runtime/calls.ts";
import type { Limits } from "../runtime/limits.ts";
import type { RawRuntime } from "../runtime/runtime.ts";
import type { Socket, Sockets } from "../session/socket.ts";
import type { Placement } from "../tree/capacity.ts";
import { Parts } from "./wiring.ts";

/** The depth of an event that comes by a socket or an alarm, in hops. */
const FRESH = 1;
/** The depth of an upgrade, which the Worker passes on. */
const UPGRADE = 2;

export class Broker {
  readonly #parts: Parts;

  /** @param guard undefined on a server without tokens */
  constructor(raw: RawRuntime, sockets: Sockets, limits: Limits, guard: Guard | undefined) {
    this.#parts = new Parts(raw, sockets, limits, guard);
  }

  /** Restores the object's state, closes connections that the current settings no longer admit, and returns the broker. */
  start(): this {
    this.#parts.start();
    this.#parts.tokens.closeOutdated();
    return this;
  }

  /** Returns where the next connection should go; undefined for here. See `Capacity.placementFor`. */
  placementFor(region: string, full: string, below: boolean): Placement | undefined {
    const placement = this.#parts.router.capacity.placementFor(region, full, below);
    // An upgrade that goes elsewhere is an event of this object, too.
    if (placement) this.#parts.peers.arrived(UPGRADE);
    return placement;
  }

  /**
   * Accepts a connection.
   * @param region where its client is, as a location hint of the platform; "" if unknown
   * @param grants what its token grants; undefined on a server without tokens
   * @param from where in its channel it continues
   */
  opened(socket: Socket, region = "", grants?: Grants, from?: From): void {
    this.#event(UPGRADE);
    this.#parts.router.upstream.region ||= region;
    const connection = this.#parts.connections.accept(socket, grants);
    if (grants) this.#parts.tokens.watch(grants);
    // The Worker may have learned of revocations some seconds ago.
    if (grants && this.#parts.revokedTokens.isRevoked(grants)) {
      this.#parts.lifecycle.close(connection, "revoked", REVOKED);
      return;
    }
    const resume = from && ((channel: string) => this.#parts.commands.resume(connection, channel, from));
    this.#keep(this.#parts.inbox.begin(connection, this.#parts.lifecycle.greet(connection, resume)));
    this.#parts.router.capacity.report("sockets");
  }

  /** Receives a frame of a client. */
  received(socket: Socket, frame: Frame): void {
    this.#event(FRESH);
    const connection = this.#parts.connections.of(socket);
    if (connection) this.#keep(this.#parts.inbox.receive(connection, frame));
    this.#parts.drain.flushIfLarge();
  }

  /** Forgets a socket that has closed. */
  closed(socket: Socket): void {
    this.#event(FRESH);
    this.#parts.lifecycle.socketClosed(socket);
    this.#parts.router.capacity.report("sockets");
  }

  /** Handles the alarm. */
  alarmed(): void {
    this.#parts.peers.arrived(FRESH);
    this.#parts.upkeep.alarmed();
  }

  /**
   * Answers a call from another object.
   * @param hop the depth of this event
   */
  called<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["request"],
    hop: number,
  ): Promise<Calls[Kind]["answer"]> {
    const { peers, tokens, handlers } = this.#parts;
    return peers.answer(hop, () => {
      tokens.closeExpired();
      return handlers[kind](ask);
    });
  }

  /** Notes an event of a client at a depth of `hop`. */
  #event(hop: number): void {
    this.#parts.peers.arrived(hop);
    this.#parts.schedule.note();
    this.#parts.pace.begin();
    // The alarm may be late, or storage may have refused it.
    this.#parts.tokens.closeExpired();
  }

  /** Commands may be executed long after their event: what they change is settled then, too. */
  #keep(work: Promise<void> | undefined): void {
    if (work) this.#parts.runtime.keep(work.finally(() => this.#parts.schedule.stay()));
  }
}
