/** Tracks how full an object and its children are, and places connections and links that exceed its limits in children. */
import { assert } from "../assert.ts";
import type { CapacityReport, Load } from "../runtime/calls.ts";
import type { Limits } from "../runtime/limits.ts";
import { childOf, parentOf } from "../runtime/object-names.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Downstream } from "./downstream.ts";

/** Where a connection should go. */
export interface Placement {
  /** An object; "" for the parent, as this child is full. */
  object: string;
  /** Whether that object is known to be full too, and should place the connection below itself. */
  below: boolean;
}

interface Child {
  /** The region of its first connection, as a location hint of the platform; "" if unknown. */
  region: string;
  full: Record<Load, boolean>;
}

interface CapacityParts {
  readonly runtime: Runtime;
  readonly limits: Pick<Limits, "socketsPerObject" | "linksPerObject">;
  readonly connections: {
    readonly size: number;
    /** Whether they take so much memory that new ones should go elsewhere. */
    readonly isCrowded: boolean;
  };
}

/**
 * What it knows of children is lost when the object leaves memory. It doesn't have to be right: a child that is full
 * after all says so, and a forgotten child is found again by its number.
 */
export class Capacity {
  readonly #parts: CapacityParts;
  readonly #downstream: Pick<Downstream, "objects">;
  readonly #children = new Map<string, Child>();
  /** What this child has reported to its parent. */
  readonly #reported: Record<Load, boolean> = { sockets: false, links: false };

  constructor(parts: CapacityParts, downstream: Pick<Downstream, "objects">) {
    this.#parts = parts;
    this.#downstream = downstream;
  }

  /** Restores the children that are linked. */
  start(): void {
    for (const object of this.#downstream.objects) if (this.isChild(object)) this.add(object, "");
  }

  isChild(object: string): boolean {
    return parentOf(object) === this.#parts.runtime.name;
  }

  isFull(load: Load): boolean {
    return this.#count(load) >= this.#limit(load);
  }

  #limit(load: Load): number {
    const { socketsPerObject, linksPerObject } = this.#parts.limits;
    return load === "sockets" ? socketsPerObject : linksPerObject;
  }

  /** Links to children don't count: they are what more load goes to. */
  #count(load: Load): number {
    const { size, isCrowded } = this.#parts.connections;
    if (load === "sockets") return isCrowded ? Number.POSITIVE_INFINITY : size;
    let links = 0;
    for (const object of this.#downstream.objects) if (!this.isChild(object)) links += 1;
    return links;
  }

  /** Adds a child. */
  add(child: string, region: string): void {
    if (this.#children.has(child)) return;
    this.#children.set(child, { region, full: { sockets: false, links: false } });
  }

  /** Removes a child that is empty; its number is free again. */
  remove(child: string): void {
    this.#children.delete(child);
  }

  /** Notes a child's report of whether it is full. */
  note({ child, load, full }: CapacityReport): void {
    this.add(child, "");
    const known = this.#children.get(child);
    if (known) known.full[load] = full;
  }

  /**
   * Returns where the next connection should go; undefined for here.
   * @param region where the client is
   * @param full the child that turned out to be full; "" if none did
   * @param below whether to place the connection below this object if it has no room
   */
  placementFor(region: string, full: string, below: boolean): Placement | undefined {
    if (full !== "") this.note({ child: full, load: "sockets", full: true });
    if (!this.isFull("sockets")) return undefined;
    if (parentOf(this.#parts.runtime.name) !== undefined && !below) return { object: "", below: true };
    return this.#choose("sockets", region);
  }

  /** Returns the child for the next link. */
  childForLink(): string {
    return this.#choose("links", "").object;
  }

  /** Reports to the parent when this child has become full, and again when an eighth is free. */
  report(load: Load): void {
    const { name } = this.#parts.runtime;
    const parent = parentOf(name);
    if (parent === undefined) return;
    const limit = this.#limit(load);
    const threshold = this.#reported[load] ? limit - Math.max(1, limit >> 3) + 1 : limit;
    const full = this.#count(load) >= threshold;
    if (full === this.#reported[load]) return;
    this.#reported[load] = full;
    this.#parts.runtime.keep(this.#parts.runtime.call(parent, "fill", { child: name, load, full }).catch(() => {}));
  }

  /**
   * Chooses a child: one of the region with room, else a new one if the limit allows it, else any with room, else any,
   * which places the connection below itself.
   */
  #choose(load: Load, region: string): Placement {
    const roomy = [...this.#children].filter(([, child]) => !child.full[load]);
    const near = roomy.find(([, child]) => child.region === region || region === "");
    if (near) return { object: near[0], below: false };
    if (this.#children.size < this.#parts.limits.linksPerObject) {
      const object = this.#newChild();
      this.add(object, region);
      return { object, below: false };
    }
    const [first] = roomy;
    if (first) return { object: first[0], below: false };
    const object = [...this.#children.keys()][Math.floor(this.#parts.runtime.random() * this.#children.size)];
    assert(object !== undefined, "the limit allows at least one child");
    return { object, below: true };
  }

  #newChild(): string {
    for (let n = 1; ; n++) {
      const name = childOf(this.#parts.runtime.name, n);
      if (!this.#children.has(name)) return name;
    }
  }
}
