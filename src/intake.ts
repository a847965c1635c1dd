/** The receiving end of links: the channels this object hears on behalf of its own listeners. */
import { ATTEMPTS, backoff, countFailure, type Delivery, type DeliveryAnswer, type World } from "./links.ts";
import type { Farewell } from "./stats.ts";
import { channelOf, parentOf } from "./tree.ts";

/** What the links of an object need from the object itself. */
export interface Listeners {
  /** Whether anyone here wants to hear `channel`. */
  listens(channel: string): boolean;
  /** Hands `count` messages of `channel`, as lines, to those who listen; the place before them is `after`. */
  hear(channel: string, lines: string, count: number, after: number): void;
  /** Messages of `channel` are missing: nobody who listens to it may go on as if they were not. */
  lose(channel: string): void;
  /** Where this object's connections come from, if it is a child. */
  readonly region: string | undefined;
  /** Every link to `channel` asked for up to `epoch` has ended. */
  ended(channel: string, epoch: number): void;
  /** What the root of `channel` has to remember of a link that has ended, until it is known to. */
  farewell(channel: string): Farewell | undefined;
  /** The root of `channel` has `farewell`. */
  farewellKept(channel: string, farewell: Farewell): void;
  /** The far side counts on a link asked for with `epoch`, and will deliver what comes `after` a place. */
  linked(channel: string, epoch: number, after: number): void;
  /** The place of the newest message of `channel` that this object has, if it remembers that by itself. */
  placeOf(channel: string): number | undefined;
  /** Whether this object has slept since it was last sure of its links, rather than crashed. */
  readonly hasSlept: boolean;
}

/** A link that this object has asked for. */
interface Want {
  readonly channel: string;
  /** The object that delivers: the channel's root, or a child of it. */
  parent: string;
  epoch: number;
  /** What the parent's own parent, which named it, vouched for. */
  vouched: number | undefined;
  /** The place of the newest message that has arrived; unknown after this object left memory. */
  last: number | undefined;
  /** Whether the parent has ever answered that it is linked. */
  linked: boolean;
  /** Whether others may rely on the link: else its parent is to be asked first whether it is still there. */
  sure: boolean;
  /** Whether that has been called into question since the parent was last asked. */
  doubted: boolean;
  /** Ends when the parent has answered; undefined once it has. */
  asking: Promise<void> | undefined;
  /** Those who wait for a place to be reached. */
  waiting: { place: number; reached: () => void }[];
}

type Ended = Pick<Want, "channel" | "parent" | "epoch" | "asking">;

/** What storage has of each link asked for, under `want:<channel>`. */
interface WantRow {
  parent: string;
  epoch: number;
}

const WANT = "want:";

/** A link that could not be had: the channel's object did not answer. */
export class Unreachable extends Error {}

export class Intake {
  readonly #world: World;
  readonly #listeners: Listeners;
  readonly #wants = new Map<string, Want>();
  #newestEpoch = 0;

  constructor(world: World, listeners: Listeners) {
    this.#world = world;
    this.#listeners = listeners;
  }

  /** Whether messages of `channel` arrive here, and others may rely on that. */
  isLinked(channel: string): boolean {
    return this.#want(channel)?.sure ?? false;
  }

  /**
   * Links this object to `channel`, or makes sure that it still is. When it ends, and `isLinked` still
   * says so, messages placed from then on will arrive.
   * @throws Unreachable if the channel's object does not answer
   */
  async join(channel: string): Promise<void> {
    const want = this.#want(channel) ?? this.#ask(channel);
    if (!want.sure) want.asking ??= this.#untilLinked(want);
    await want.asking;
  }

  /**
   * Has this object make sure of its link to `channel`, unless that is the one `vouched` for by its
   * parent: somebody is about to rely on it.
   */
  doubt(channel: string, vouched: number | undefined): void {
    const want = this.#want(channel);
    if (!want) return;
    if (want.epoch !== vouched || this.#listeners.placeOf(channel) === undefined) want.doubted = true;
    if (want.linked) want.sure = !want.doubted;
  }

  /** Ends the link to `channel`; to be called when nobody here listens to it any more. */
  leave(channel: string): void {
    const want = this.#want(channel);
    if (!want) return;
    this.#drop(want);
    this.#world.keep(this.#unlink(want));
  }

  /** Leaves every channel that nobody here listens to: links that a crash left behind. */
  leaveUnheard(): void {
    for (const [key] of [...this.#world.store.list(WANT)]) {
      const channel = key.slice(WANT.length);
      if (!this.#listeners.listens(channel)) this.leave(channel);
    }
  }

  /** Takes a delivery: hands on what is new in it, exactly once and in order, or ends the link. */
  deliver(delivery: Delivery): DeliveryAnswer {
    const want = this.#want(delivery.channel);
    if (want?.epoch !== delivery.epoch || want.parent !== delivery.from) return this.#gone(delivery);
    const heard = !want.linked || this.#listeners.listens(want.channel);
    if (heard && !this.#isMissingSome(want, delivery)) {
      this.#take(want, delivery);
      return { gone: false };
    }
    if (heard) this.#lose(want);
    else this.#drop(want);
    return this.#gone(delivery);
  }

  /** Ends when the message at `place` has been handed on here, or never will be; at once if not linked. */
  reached(channel: string, place: number): Promise<void> | undefined {
    const want = this.#want(channel);
    if (!want?.linked) return undefined;
    if (want.last !== undefined && want.last >= place) return undefined;
    return new Promise((reached) => want.waiting.push({ place, reached }));
  }

  #want(channel: string): Want | undefined {
    const known = this.#wants.get(channel);
    if (known) return known;
    const row = this.#world.store.get<WantRow>(WANT + channel);
    if (!row) return undefined;
    const { hasSlept: sure } = this.#listeners;
    const last = this.#listeners.placeOf(channel);
    return this.#add(channel, row, { last, linked: true, sure });
  }

  #add(channel: string, { parent, epoch }: WantRow, known: Pick<Want, "last" | "linked" | "sure">): Want {
    this.#newestEpoch = Math.max(this.#newestEpoch, epoch);
    const asked = { channel, parent, epoch, vouched: undefined };
    const want = { ...asked, ...known, doubted: false, asking: undefined, waiting: [] };
    this.#wants.set(channel, want);
    return want;
  }

  /** Epochs are times, so they rise across crashes and when storage has been emptied. */
  #nextEpoch(): number {
    this.#newestEpoch = Math.max(this.#newestEpoch + 1, this.#world.now());
    return this.#newestEpoch;
  }

  #ask(channel: string): Want {
    const { name } = this.#world;
    const parent = (channelOf(name) === channel && parentOf(name)) || channel;
    const epoch = this.#nextEpoch();
    return this.#add(channel, { parent, epoch }, { last: undefined, linked: false, sure: false });
  }

  async #untilLinked(want: Want): Promise<void> {
    const { channel } = want;
    if (!want.linked) this.#listeners.ended(channel, want.epoch - 1);
    for (let failures = 0; failures < ATTEMPTS && !want.sure && this.#wants.get(channel) === want; ) {
      if (!want.linked)
        this.#world.store.put<WantRow>(WANT + channel, { parent: want.parent, epoch: want.epoch });
      try {
        await this.#request(want);
      } catch (error) {
        failures = countFailure(failures, error);
        if (failures < ATTEMPTS) await this.#world.sleep(backoff(failures));
      }
    }
    want.asking = undefined;
    // Dropped meanwhile: whoever still waits asks anew.
    if (want.sure || this.#wants.get(channel) !== want) return;
    if (!want.linked) this.#drop(want);
    throw new Unreachable("no answer from the channel's object");
  }

  /** Asks once. The link is there then, or is lost, or the want has been changed to ask for something else. */
  async #request(want: Want): Promise<void> {
    const { channel, epoch, linked, vouched } = want;
    const { name: from } = this.#world;
    const farewell = this.#listeners.farewell(channel);
    const region = this.#listeners.region;
    const still = linked ? { last: want.last } : undefined;
    want.doubted = false;
    const answer = await this.#world
      .peer(want.parent)
      .link({ from, epoch, region, farewell, still, vouched });
    if (this.#wants.get(channel) !== want) return;
    if ("instead" in answer) {
      want.parent = answer.instead;
      want.vouched = answer.vouched;
    } else if ("after" in answer) {
      if (farewell) this.#listeners.farewellKept(channel, farewell);
      this.#listeners.linked(channel, epoch, answer.after);
      want.last ??= answer.after;
      want.linked = true;
      want.sure = !want.doubted;
    } else if (linked) {
      this.#lose(want);
    } else {
      this.#newestEpoch = Math.max(this.#newestEpoch, answer.newer);
      want.epoch = this.#nextEpoch();
    }
  }

  #lose(want: Want): void {
    this.#drop(want);
    this.#listeners.lose(want.channel);
  }

  async #unlink({ channel, parent, epoch, asking }: Ended): Promise<void> {
    // An unlink that overtook its link would leave that one behind.
    await asking?.catch(() => {});
    const farewell = this.#farewell(channel, epoch);
    for (let failures = 0; failures < ATTEMPTS; ) {
      try {
        await this.#world.peer(parent).unlink({ from: this.#world.name, epoch, farewell });
        if (farewell) this.#listeners.farewellKept(channel, farewell);
        // Nothing else may keep this object in memory until that is written.
        await this.#world.store.sync();
        return;
      } catch (error) {
        failures = countFailure(failures, error);
        // If no attempt succeeds, the root learns it from the answer to its next delivery.
        if (failures < ATTEMPTS) await this.#world.sleep(backoff(failures));
      }
    }
  }

  /** Ends the link of a delivery. With figures to hand over it says so once more, to be sure of them. */
  #gone({ channel, from: parent, epoch }: Delivery): DeliveryAnswer {
    const farewell = this.#farewell(channel, epoch);
    if (farewell) this.#world.keep(this.#unlink({ channel, parent, epoch, asking: undefined }));
    return { gone: true, farewell };
  }

  /** The figures of a link that has ended; if a newer one has been asked for, they go on with that one. */
  #farewell(channel: string, epoch: number): Farewell | undefined {
    if (!this.#wants.has(channel)) this.#listeners.ended(channel, epoch);
    return this.#listeners.farewell(channel);
  }

  #drop(want: Want): void {
    this.#wants.delete(want.channel);
    this.#world.store.delete(WANT + want.channel);
    for (const { reached } of want.waiting) reached();
  }

  /**
   * True if a message before those in `delivery` never came, or nobody can know: after this object
   * left memory it trusts the sender's word on what it has, but not about a call that may have been
   * carried out while it still was in memory.
   */
  #isMissingSome(want: Want, { after, again, lost }: Delivery): boolean {
    return lost || (want.last === undefined ? again : after > want.last);
  }

  #take(want: Want, { channel, after, count, lines }: Delivery): void {
    const known = want.last === undefined ? 0 : Math.min(want.last - after, count);
    if (known < count) {
      this.#listeners.hear(channel, dropLines(lines, known), count - known, after + known);
    }
    want.last = Math.max(want.last ?? 0, after + count);
    this.#releaseWaiting(want, want.last);
  }

  #releaseWaiting(want: Want, last: number): void {
    if (want.waiting.length === 0) return;
    for (const { place, reached } of want.waiting) if (place <= last) reached();
    want.waiting = want.waiting.filter(({ place }) => place > last);
  }
}

/** `lines` without the first `n` of them. */
function dropLines(lines: string, n: number): string {
  let from = 0;
  for (let i = 0; i < n; i++) from = lines.indexOf("\n", from) + 1;
  return lines.slice(from);
}
