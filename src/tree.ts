/**
 * A channel that outgrows its object becomes a tree. Its root is named like the channel; the children
 * of an object `x` are named `x!1`, `x!2`, … (a channel's name has no `!`). This file knows the names,
 * and chooses the child that gets the next connection or link when an object is full.
 */

/** The channel that an object serves. */
export function channelOf(object: string): string {
  const end = object.indexOf("!");
  return end < 0 ? object : object.slice(0, end);
}

/** The object that a child hangs on; undefined for a root. */
export function parentOf(object: string): string | undefined {
  const end = object.lastIndexOf("!");
  return end < 0 ? undefined : object.slice(0, end);
}

/** What can fill an object up. */
export type Load = "sockets" | "links";

interface Child {
  /** Where its first connection came from, as a location hint of the platform's; unknown is "". */
  region: string;
  full: Record<Load, boolean>;
}

/**
 * The children of one object, as far as it knows in this life. Nothing here has to be right: a child
 * that is full after all says so, and one that has been forgotten is found again by its number.
 */
export class Children {
  readonly #parent: string;
  readonly #known = new Map<string, Child>();

  constructor(parent: string) {
    this.#parent = parent;
  }

  /** Notes that `child` is there. */
  add(child: string, region: string): void {
    if (!this.#known.has(child)) this.#known.set(child, { region, full: { sockets: false, links: false } });
  }

  /** Notes that `child` is empty; its number is free again. */
  remove(child: string): void {
    this.#known.delete(child);
  }

  /** Notes whether `child` has room. */
  note(child: string, load: Load, full: boolean): void {
    this.add(child, "");
    const known = this.#known.get(child);
    if (known) known.full[load] = full;
  }

  /**
   * The child for the next connection or link: one of that region with room, else a new one if there
   * may be more than `most` not yet, else any with room, else (for it to pass on) any.
   */
  choose(load: Load, region: string, most: number): string {
    const roomy = [...this.#known].filter(([, child]) => !child.full[load]);
    const near = roomy.find(([, child]) => child.region === region || region === "");
    if (near) return near[0];
    if (this.#known.size < most) {
      const name = this.#free();
      this.add(name, region);
      return name;
    }
    const [any = [...this.#known][Math.floor(Math.random() * this.#known.size)]] = roomy;
    return any?.[0] ?? this.#free();
  }

  #free(): string {
    for (let n = 1; ; n++) {
      const name = `${this.#parent}!${n}`;
      if (!this.#known.has(name)) return name;
    }
  }
}
