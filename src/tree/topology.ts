/** How a channel is heard: by which objects, and how far each of them is, for who runs the service. */

import type { Description, ObjectOfTree } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Polling } from "../stats/polling.ts";
import type { Downstream } from "./downstream.ts";
import type { Router, Subscribers } from "./router.ts";

/** Most objects that are told of one by one. */
const MOST_TOLD = 1_000;

export class Tree {
  readonly #runtime: Runtime;
  readonly #connections: Subscribers;
  readonly #downstream: Downstream;
  readonly #router: Router;
  readonly #polling: Polling<Description>;

  constructor(runtime: Runtime, connections: Subscribers, downstream: Downstream, router: Router) {
    this.#runtime = runtime;
    this.#connections = connections;
    this.#downstream = downstream;
    this.#router = router;
    const objectsOf = ({ objects, omitted }: Description) => objects.length + omitted;
    this.#polling = new Polling(() => this.#describeOwn(), objectsOf, runtime.now);
  }

  /** This object's part of a channel's tree. */
  async describe(channel: string): Promise<Description> {
    if (channel === channelOf(this.#runtime.name)) return this.#polling.answer();
    const position = this.#router.positionOf(channel);
    return { objects: [this.#self(channel, position)], omitted: 0, unreachable: 0 };
  }

  #self(channel: string, position: number | undefined): ObjectOfTree {
    return { object: this.#runtime.name, listeners: this.#connections.subscribers(channel), position };
  }

  /** With all those that hear this object's own channel through it. */
  async #describeOwn(): Promise<Description> {
    const channel = channelOf(this.#runtime.name);
    const { log, history } = this.#downstream;
    const self = this.#self(channel, log.position);
    const below = await this.#below(channel);
    const objects = [self, ...below.flatMap((part) => part?.objects ?? [])];
    const omitted = below.reduce((sum, part) => sum + (part?.omitted ?? 0), 0);
    return {
      objects: objects.slice(0, MOST_TOLD),
      omitted: omitted + Math.max(0, objects.length - MOST_TOLD),
      unreachable: below.reduce((sum, part) => sum + (part?.unreachable ?? 1), 0),
      kept: history?.kept,
    };
  }

  /** The parts of those that hear it through this object; undefined of who does not answer. */
  #below(channel: string): Promise<(Description | undefined)[]> {
    return Promise.all([...this.#downstream.objects].map((object) => this.#ask(object, channel)));
  }

  async #ask(object: string, channel: string): Promise<Description | undefined> {
    const part = await this.#runtime.call(object, "describe", { channel }).catch(() => undefined);
    const [first] = part?.objects ?? [];
    // One that has slept does not know how far it is: what has been acknowledged is what it has.
    if (first) {
      first.parent = this.#runtime.name;
      first.position ??= this.#downstream.acknowledgedBy(object);
    }
    return part;
  }
}
