/** Describes a channel's tree to operators: its objects, their subscribers, and their positions. */
import type { TreeDescription, TreeNode } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import { polling } from "../stats/polling.ts";
import type { Router, RouterParts } from "./router.ts";

/** The most objects that a description lists. */
const MAX_LISTED = 1_000;

type TopologyParts = RouterParts & { readonly router: Router };

export class Topology {
  readonly #parts: TopologyParts;
  readonly #poll: () => Promise<TreeDescription>;

  constructor(parts: TopologyParts) {
    this.#parts = parts;
    const objectsOf = ({ objects, omitted }: TreeDescription) => objects.length + omitted;
    this.#poll = polling(() => this.#describeOwn(), objectsOf, parts.runtime.now);
  }

  /** Returns this object's part of a channel's tree. */
  async describe(channel: string): Promise<TreeDescription> {
    if (channel === channelOf(this.#parts.runtime.name)) return this.#poll();
    const position = this.#parts.router.positionOf(channel);
    return { objects: [this.#self(channel, position)], omitted: 0, unreachable: 0 };
  }

  #self(channel: string, position: number | undefined): TreeNode {
    return { object: this.#parts.runtime.name, listeners: this.#parts.connections.subscribers(channel), position };
  }

  /** Describes the object's own channel, with the objects below it. */
  async #describeOwn(): Promise<TreeDescription> {
    const channel = channelOf(this.#parts.runtime.name);
    const { position, history } = this.#parts.router.channel;
    const self = this.#self(channel, position);
    const below = await this.#below(channel);
    const objects = [self, ...below.flatMap((part) => part?.objects ?? [])];
    const omitted = below.reduce((sum, part) => sum + (part?.omitted ?? 0), 0);
    return {
      objects: objects.slice(0, MAX_LISTED),
      omitted: omitted + Math.max(0, objects.length - MAX_LISTED),
      unreachable: below.reduce((sum, part) => sum + (part?.unreachable ?? 1), 0),
      kept: history?.retained,
    };
  }

  /** The parts of the linked objects; undefined for one that doesn't answer. */
  #below(channel: string): Promise<(TreeDescription | undefined)[]> {
    return Promise.all([...this.#parts.router.downstream.objects].map((object) => this.#ask(object, channel)));
  }

  async #ask(object: string, channel: string): Promise<TreeDescription | undefined> {
    const part = await this.#parts.runtime.call(object, "describe", { channel }).catch(() => undefined);
    const [first] = part?.objects ?? [];
    // An object that has hibernated doesn't know its position: it has what it acknowledged.
    if (first) {
      first.parent = this.#parts.runtime.name;
      first.position ??= this.#parts.router.downstream.linkTo(object)?.acknowledged;
    }
    return part;
  }
}
