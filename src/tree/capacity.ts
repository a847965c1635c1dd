/** Room for connections and links: how full this object is, and its children, which take what is too much. */
import { assert } from "../assert.ts";
import type { Filling, Load } from "../runtime/calls.ts";
import type { Limits } from "../runtime/limits.ts";
import { childOf, parentOf } from "../runtime/object-names.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Where a connection is to go. */
export interface Place {
  /** "" for the parent, which is to be told that its child is full. */
  object: string;
  /** Whether that object is full too, as far as is known, and is to place it below itself. */
  below: boolean;
}

interface Child {
  /** Where its first connection came from, as a location hint of the platform's; unknown is "". */
  region: string;
  full: Record<Load, boolean>;
}

/**
 * What it knows of children it knows in this life only. Nothing of that has to be right: a child that is
 * full after all says so, and one that has been forgotten is found again by its number.
 */
export class Room {
  readonly #runtime: Runtime;
  readonly #most: Record<Load, number>;
  /** How many there are of what can fill this object up, its links to children not counted. */
  readonly #count: (load: Load) => number;
  readonly #children = new Map<string, Child>();
  /** What this child has told its parent. */
  readonly #told: Record<Load, boolean> = { sockets: false, links: false };

  constructor(runtime: Runtime, limits: Limits, count: (load: Load) => number) {
    this.#runtime = runtime;
    this.#most = { sockets: limits.socketsPerObject, links: limits.linksPerObject };
    this.#count = count;
  }

  isChild(object: string): boolean {
    return parentOf(object) === this.#runtime.name;
  }

  isFull(load: Load): boolean {
    return this.#count(load) >= this.#most[load];
  }

  /** Notes that a child is there. */
  add(child: string, region: string): void {
    if (this.#children.has(child)) return;
    this.#children.set(child, { region, full: { sockets: false, links: false } });
  }

  /** Notes that a child is empty; its number is free again. */
  remove(child: string): void {
    this.#children.delete(child);
  }

  /** Notes whether a child has room. */
  note({ child, load, full }: Filling): void {
    this.add(child, "");
    const known = this.#children.get(child);
    if (known) known.full[load] = full;
  }

  /**
   * Where the next connection from `region` is to go.
   * @param full the child that turned out to be full; "" if none did
   * @param below whether it is to be placed below this object, if not here
   * @returns undefined for here
   */
  placeFor(region: string, full: string, below: boolean): Place | undefined {
    if (full !== "") this.note({ child: full, load: "sockets", full: true });
    if (!this.isFull("sockets")) return undefined;
    if (parentOf(this.#runtime.name) !== undefined && !below) return { object: "", below: true };
    return this.#choose("sockets", region);
  }

  /** The child for the next link. */
  childForLink(): string {
    return this.#choose("links", "").object;
  }

  /** Tells this object's parent when it is full, and again when an eighth is free. */
  tellParent(load: Load): void {
    const { name } = this.#runtime;
    const parent = parentOf(name);
    if (parent === undefined) return;
    const most = this.#most[load];
    const enough = this.#told[load] ? most - Math.max(1, most >> 3) + 1 : most;
    const full = this.#count(load) >= enough;
    if (full === this.#told[load]) return;
    this.#told[load] = full;
    this.#runtime.keep(this.#runtime.call(parent, "fill", { child: name, load, full }).catch(() => {}));
  }

  /**
   * One of that region with room, else a new one if there may be more, else any with room, else any, for it to
   * pass on.
   */
  #choose(load: Load, region: string): Place {
    const roomy = [...this.#children].filter(([, child]) => !child.full[load]);
    const near = roomy.find(([, child]) => child.region === region || region === "");
    if (near) return { object: near[0], below: false };
    if (this.#children.size < this.#most.links) {
      const object = this.#free();
      this.add(object, region);
      return { object, below: false };
    }
    const [first] = roomy;
    if (first) return { object: first[0], below: false };
    const object = [...this.#children.keys()][Math.floor(this.#runtime.random() * this.#children.size)];
    assert(object !== undefined, "an object may have a child");
    return { object, below: true };
  }

  #free(): string {
    for (let n = 1; ; n++) {
      const name = childOf(this.#runtime.name, n);
      if (!this.#children.has(name)) return name;
    }
  }
}
