/** How a channel is heard: by which objects, and how far each of them is, for who runs the service. */
import type { Downstream } from "../links/downstream.ts";
import type { Description, ObjectOfTree } from "../links/messages.ts";
import { channelOf, parentOf } from "../links/names.ts";
import type { World } from "../links/world.ts";
import type { Connections } from "../sockets/connections.ts";
import type { Router } from "./router.ts";

/** Most objects that are told of one by one. */
const MOST_TOLD = 1_000;

export class Tree {
  readonly #world: World;
  readonly #connections: Connections;
  readonly #downstream: Downstream;
  readonly #router: Router;
  /** What is being asked, so that those who ask meanwhile share the answer. */
  readonly #asking = new Map<string, Promise<Description>>();

  constructor(world: World, connections: Connections, downstream: Downstream, router: Router) {
    this.#world = world;
    this.#connections = connections;
    this.#downstream = downstream;
    this.#router = router;
  }

  /** This object's part of a channel's tree. */
  describe(channel: string): Promise<Description> {
    const known = this.#asking.get(channel);
    if (known) return known;
    const asking = this.#describe(channel).finally(() => this.#asking.delete(channel));
    this.#asking.set(channel, asking);
    return asking;
  }

  async #describe(channel: string): Promise<Description> {
    const { name } = this.#world;
    const isOwn = channelOf(name) === channel;
    const own: ObjectOfTree = { object: name, listeners: this.#connections.subscribers(channel) };
    own.position = isOwn ? this.#downstream.log.position : this.#router.positionOf(channel);
    const kept = parentOf(name) === undefined && isOwn ? this.#downstream.history?.kept : undefined;
    const below = isOwn ? await this.#below(channel) : [];
    const objects = [own, ...below.flatMap((part) => part?.objects ?? [])];
    const omitted = below.reduce((sum, part) => sum + (part?.omitted ?? 0), 0);
    return {
      objects: objects.slice(0, MOST_TOLD),
      omitted: omitted + Math.max(0, objects.length - MOST_TOLD),
      unreachable: below.reduce((sum, part) => sum + (part?.unreachable ?? 1), 0),
      kept,
    };
  }

  /** The parts of those that hear it through this object; undefined of who does not answer. */
  #below(channel: string): Promise<(Description | undefined)[]> {
    return Promise.all([...this.#downstream.objects].map((object) => this.#ask(object, channel)));
  }

  async #ask(object: string, channel: string): Promise<Description | undefined> {
    const part = await this.#world.call(object, "describe", { channel }).catch(() => undefined);
    const [first] = part?.objects ?? [];
    // One that has slept does not know how far it is: what has been acknowledged is what it has.
    if (first) {
      first.parent = this.#world.name;
      first.position ??= this.#downstream.acknowledgedBy(object);
    }
    return part;
  }
}
