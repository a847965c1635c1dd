/**
 * The channels in which the client is present, which it enters again on each connection. Each channel has at most one
 * command in flight. Of the calls made until its reply, only the newest is sent, and they settle together.
 */
import { isTemporary } from "../protocol/errors.ts";
import { backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { Refused } from "./errors.ts";
import { emit } from "./listeners.ts";
import { after } from "./timing.ts";
import type { Transport } from "./transport.ts";

/** A pending call. */
type Call = readonly [resolve: () => void, reject: (error: Error) => void];

/** As whom to enter. */
interface Entry {
  /** The member and its data, as in the command. */
  readonly text: string;
  /** Called if the presence ends by a refusal. */
  readonly onEnd: ((error: Refused) => void) | undefined;
}

interface Presence {
  readonly channel: string;
  /** Undefined to leave. */
  wanted?: Entry | undefined;
  /** What the command in flight enters; undefined if `leave` was called after it was sent. */
  sent?: Entry | undefined;
  /** What the server carried out last. */
  entered?: Entry | undefined;
  /** Pending calls. */
  readonly calls: Set<Call>;
  /** Whether its command has to be sent. */
  isDue?: boolean;
  /** Whether a command is in flight, or a retry scheduled. */
  isBusy?: boolean;
  failures: number;
}

export class Presences {
  readonly #environment: Environment;
  readonly #onSettled: () => void;
  readonly #presences = new Map<string, Presence>();
  #transport: Transport | undefined;

  /** @param onSettled called when a presence has ended */
  constructor(environment: Environment, onSettled: () => void) {
    this.#environment = environment;
    this.#onSettled = onSettled;
  }

  /** The number of channels that the client has entered, or is leaving. */
  get size(): number {
    return this.#presences.size;
  }

  /** Whether the server has to carry out a `leave`. */
  get isLeaving(): boolean {
    return [...this.#presences.values()].some(({ wanted }) => wanted === undefined);
  }

  /**
   * Enters a channel.
   * @throws Refused if the server refuses it for good, or `leave` is called
   */
  enter(channel: string, entry: Entry): Promise<void> {
    const presence = this.#presences.get(channel) ?? { channel, calls: new Set(), failures: 0 };
    this.#presences.set(channel, presence);
    presence.wanted = entry;
    return new Promise((...call) => this.#add(presence, call));
  }

  async leave(channel: string): Promise<void> {
    const presence = this.#presences.get(channel);
    if (!presence) return;
    presence.wanted = presence.sent = presence.entered = undefined;
    settle(presence, presence.calls, new Refused("unavailable", "`leave` was called"));
    if (!this.#transport?.home) this.#end(presence);
    else await new Promise<void>((resolve) => this.#add(presence, [resolve, () => resolve()]));
  }

  #add(presence: Presence, call: Call): void {
    presence.calls.add(call);
    presence.isDue = true;
    // Coalesce the calls of one turn of the event loop.
    queueMicrotask(() => this.#flush());
  }

  /** Uses a new connection, or none. */
  use(transport: Transport | undefined): void {
    this.#transport = transport;
    for (const presence of this.#presences.values()) {
      presence.isBusy = false;
      // Presence ends with its connection.
      if (presence.wanted === undefined) this.#end(presence);
    }
    this.enterAgain();
  }

  /** Enters all channels again, where the connection's presence may have ended. */
  enterAgain(): void {
    for (const presence of this.#presences.values()) presence.isDue = true;
    this.#flush();
  }

  /** Rejects pending calls; the client enters again as before on the next connection. */
  revert(error: Error): void {
    for (const presence of this.#presences.values()) this.#revert(presence, error);
  }

  #revert(presence: Presence, error: Error): void {
    settle(presence, presence.calls, error);
    presence.wanted = presence.entered;
    if (!presence.wanted) this.#end(presence);
  }

  /** Ends all presences. @param failure reported to the program, if any */
  fail(error: Error, failure: Refused | undefined): void {
    for (const presence of this.#presences.values()) this.#end(presence, error, failure);
  }

  #end(presence: Presence, error?: Error, failure?: Refused): void {
    this.#presences.delete(presence.channel);
    settle(presence, presence.calls, error);
    const { onEnd } = presence.entered ?? {};
    if (failure && onEnd) emit(new Set([onEnd]), failure);
    this.#onSettled();
  }

  // --- sending

  #flush(): void {
    const transport = this.#transport;
    if (!transport) return;
    const sent: (() => void)[] = [];
    for (const presence of this.#presences.values()) {
      if (!presence.isDue || presence.isBusy) continue;
      presence.isDue = false;
      if (transport.home) sent.push(this.#send(presence, transport));
      // Enters again on the next connection that can be present.
      else this.#revert(presence, new Refused("unavailable", "presence needs a WebSocket"));
    }
    if (sent.length === 0) return;
    // The server replies only with errors; the reply to a ping marks their end.
    transport.ask("ping", "", () => {
      for (const finish of sent) finish();
      this.#flush();
    });
  }

  /** Sends a command; returns a function that handles its outcome. */
  #send(presence: Presence, transport: Transport): () => void {
    const { channel, wanted } = presence;
    const calls = [...presence.calls];
    const name = `${wanted ? "enter" : "leave"} ${channel}`;
    let error: Refused | undefined;
    transport.ask(name, wanted ? ` ${wanted.text}` : "", (outcome) => {
      if (outcome instanceof Refused) error = outcome;
    });
    presence.sent = wanted;
    presence.isBusy = true;
    return () => {
      transport.pending.delete(name);
      if (error && isTemporary(error.code)) this.#hold(presence, transport);
      else this.#finish(presence, wanted, calls, error);
    };
  }

  #hold(presence: Presence, transport: Transport): void {
    after(this.#environment, backoff(this.#environment, presence.failures), transport.signal, () => {
      presence.isBusy = false;
      presence.isDue = true;
      this.#flush();
    });
    presence.failures += 1;
  }

  #finish(presence: Presence, wanted: Entry | undefined, calls: Call[], error: Refused | undefined): void {
    const { sent, entered } = presence;
    presence.isBusy = false;
    presence.failures = 0;
    settle(presence, calls, error);
    if (!error) presence.entered = sent;
    // A newer call counts.
    if (presence.wanted !== wanted) return;
    if (!wanted || (error && sent === entered)) this.#end(presence, error, error);
    else if (error) {
      // A failed call changes nothing. Without an earlier `enter`, leave: a call that `leave` has cancelled may have entered.
      presence.wanted = entered;
      presence.isDue = true;
    }
  }
}

function settle({ calls }: Presence, some: Iterable<Call>, error?: Error): void {
  for (const call of some) {
    const [resolve, reject] = call;
    calls.delete(call);
    if (error) reject(error);
    else resolve();
  }
}
