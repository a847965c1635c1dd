/** A client of the simulated service, which checks what it reads against the promises at once. */
import { EVERYONE } from "../src/protocol.ts";
import type { SimulatedSocket, Simulation } from "./simulation.ts";

/** One command of a client, with the ping that tells when it has taken effect. */
interface Step {
  verb: "greeting" | "subscribe" | "unsubscribe" | "announce" | "ping" | "info";
  channel: string;
  /** Messages announced. */
  messages: string[];
  issued: number;
  done: number | undefined;
  refused: boolean;
}

/** A breach of a promise. */
export class Breach extends Error {}

export interface Announcement {
  channel: string;
  issued: number;
  /** Certainly placed: the announcer's next ping was answered, and no error came. */
  placed: () => boolean;
}

export class SimulatedClient {
  readonly name: string;
  /** The object that it is connected to; for its root, say what channel it connected at. */
  home: string;
  readonly channel: string;
  readonly steps: Step[] = [];
  /** Messages read, by channel. */
  readonly heard = new Map<string, string[]>();
  readonly announced = new Map<string, Announcement>();
  socket: SimulatedSocket | undefined;
  /** Set once the connection has ended. */
  ending: { code: number; reason: string } | undefined;
  /** When it connected. */
  readonly connected: number;
  /** Whether all that it was let in to rests on what was made sure of after the last fault. */
  #unconcerned = false;
  /** When this client could first be sure to hear `all`. */
  hearsEveryoneSince: number | undefined;
  info: string[] = [];
  readonly #simulation: Simulation;
  #messages = 0;

  constructor(simulation: Simulation, name: string, home: string) {
    this.#simulation = simulation;
    this.name = name;
    this.home = home;
    this.channel = home;
    this.connected = simulation.now;
    this.steps.push({
      verb: "greeting",
      channel: home,
      messages: [],
      issued: simulation.now,
      done: undefined,
      refused: false,
    });
  }

  get open(): boolean {
    return this.ending === undefined;
  }

  /** Sends one command, or several announcements in a row, and a ping behind it, in one frame. */
  say(verb: "subscribe" | "unsubscribe" | "announce" | "info", channel: string, count = 1): void {
    const messages = verb === "announce" ? Array.from({ length: count }, () => this.#nextMessage()) : [];
    const step: Step = {
      verb,
      channel,
      messages,
      issued: this.#simulation.now,
      done: undefined,
      refused: false,
    };
    for (const message of messages) {
      this.announced.set(message, {
        channel,
        issued: step.issued,
        placed: () => step.done !== undefined && !step.refused,
      });
    }
    this.steps.push(step);
    const lines =
      verb === "announce" ? messages.map((text) => `announce ${channel} ${text}`) : [`${verb} ${channel}`];
    if (verb === "info") lines[0] = verb;
    this.#simulation.arrive(this, [...lines, "ping"].join("\n"));
  }

  /** Takes a frame from the server. */
  read(frame: string): void {
    if (!frame.endsWith("\n")) throw new Breach(`${this.name} got a frame that does not end a line`);
    for (const line of frame.slice(0, -1).split("\n")) this.#readLine(line);
  }

  closed(code: number, reason: string): void {
    this.ending ??= { code, reason };
  }

  /** The server has closed this connection: it must not if nothing has failed since that was opened. */
  checkClosing(): void {
    if (!this.#unconcerned || !this.#simulation.isUnconcerned(this, [])) return;
    throw new Breach(`${this.name} was closed for a fault before its time: ${JSON.stringify(this.ending)}`);
  }

  /** Whether it rests on a link from before the last fault is known only while its object has that. */
  #noteConcern(step: Step): void {
    const channels = step.verb === "greeting" ? [step.channel, EVERYONE] : [step.channel];
    if (step.verb === "greeting") this.#unconcerned = true;
    if (!this.#simulation.isUnconcerned(this, channels)) this.#unconcerned = false;
  }

  /** When this client's subscription to `channel` that still stands took effect; undefined if there is none. */
  subscribedSince(channel: string): number | undefined {
    if (!this.open) return undefined;
    const last = this.steps.findLast((step) => this.#isAbout(step, channel) && !step.refused);
    if (last?.done === undefined || last.verb === "unsubscribe") return undefined;
    if (channel === EVERYONE && last.verb === "greeting" && this.channel !== EVERYONE) {
      return this.hearsEveryoneSince;
    }
    return last.done;
  }

  #isAbout({ verb, channel }: Step, about: string): boolean {
    if (verb === "greeting") return about === channel || about === EVERYONE;
    return (verb === "subscribe" || verb === "unsubscribe") && channel === about;
  }

  #nextMessage(): string {
    this.#messages += 1;
    return `${this.name}.${this.#messages}`;
  }

  #readLine(line: string): void {
    const step = this.steps.find(({ done }) => done === undefined);
    if (line === "debug!connected...") {
      if (step?.verb !== "greeting") throw new Breach(`${this.name} was greeted twice`);
      step.done = this.#simulation.now;
      this.#noteConcern(step);
      if (this.#simulation.isLinkedToEveryone(this.home)) this.hearsEveryoneSince = step.done;
    } else if (step?.verb === "greeting") {
      throw new Breach(`${this.name} read '${line}' before its greeting`);
    } else if (/^\d+$/.test(line)) {
      if (!step) throw new Breach(`${this.name} got an answer to a ping it did not send`);
      step.done = this.#simulation.now;
      if (step.verb === "subscribe") this.#noteConcern(step);
      this.#checkOwn(step);
    } else if (line.startsWith("debug!error ")) {
      if (step) step.refused = true;
    } else if (/^[a-z -]+: /.test(line)) {
      this.info.push(line);
    } else this.#hear(line);
  }

  /** What a client announces where it listens has arrived before the answer to its next ping. */
  #checkOwn(step: Step): void {
    const since = this.subscribedSince(step.channel);
    if (step.verb !== "announce" || step.refused || since === undefined || since > step.issued) return;
    const heard = this.heard.get(step.channel) ?? [];
    for (const message of step.messages) {
      if (!heard.includes(message))
        throw new Breach(`${this.name} was answered before it read its own ${message}`);
    }
  }

  #hear(line: string): void {
    const at = line.indexOf("!");
    const channel = line.slice(0, at);
    const message = line.slice(at + 1);
    const heard = this.heard.get(channel) ?? [];
    this.heard.set(channel, heard);
    if (heard.includes(message)) throw new Breach(`${this.name} read ${message} twice`);
    const [author = ""] = message.split(".");
    const before = heard.findLast((other) => other.startsWith(`${author}.`));
    if (before && Number(before.split(".")[1]) > Number(message.split(".")[1])) {
      throw new Breach(`${this.name} read ${message} after ${before}`);
    }
    const last = this.steps.findLast((step) => this.#isAbout(step, channel) && (!step.refused || !step.done));
    if (!last || (last.verb === "unsubscribe" && last.done !== undefined)) {
      throw new Breach(`${this.name} read ${line} without a subscription`);
    }
    heard.push(message);
  }
}

/** Client number `n` of a simulation. */
export function clientOf(simulation: Simulation, n: number, home: string): SimulatedClient {
  return new SimulatedClient(simulation, String.fromCharCode(97 + n) + n, home);
}

/** Checks what only shows from outside: that nothing is missing, and that all read in one order. */
export function checkTogether(clients: SimulatedClient[]): void {
  const announced = new Map(clients.flatMap((client) => [...client.announced]));
  for (const client of clients) checkComplete(client, announced);
  const channels = new Set(clients.flatMap((client) => [...client.heard.keys()]));
  for (const channel of channels) {
    const readings = clients.map((client) => ({ name: client.name, heard: client.heard.get(channel) ?? [] }));
    readings.forEach((one, i) => {
      for (const other of readings.slice(i + 1)) checkSameOrder(channel, one, other);
    });
  }
}

function checkComplete(client: SimulatedClient, announced: Map<string, Announcement>): void {
  for (const [message, { channel, issued, placed }] of announced) {
    const since = client.subscribedSince(channel);
    if (since === undefined || since >= issued || !placed()) continue;
    if (!client.heard.get(channel)?.includes(message)) {
      throw new Breach(`${client.name} never read ${message} on ${channel}`);
    }
  }
}

interface Reading {
  name: string;
  heard: string[];
}

function checkSameOrder(channel: string, one: Reading, other: Reading): void {
  const places = new Map(other.heard.map((message, place) => [message, place]));
  let last = -1;
  for (const message of one.heard) {
    const place = places.get(message);
    if (place === undefined) continue;
    if (place < last) throw new Breach(`${one.name} and ${other.name} read ${channel} in different orders`);
    last = place;
  }
}
