/** Requests lists of members. Requests that come together share a call: a mass reconnect asks for a list all at once. */
import type { MembersAnswer } from "../runtime/calls.ts";

/** The requests for the members of one channel. */
interface List {
  /** The call in flight, and the one after it. */
  current: Promise<MembersAnswer> | undefined;
  next: Promise<MembersAnswer> | undefined;
}

export class MemberLists {
  readonly #ask: (channel: string) => Promise<MembersAnswer>;
  readonly #lists = new Map<string, List>();

  /** @param ask requests the members of a channel from its authority */
  constructor(ask: (channel: string) => Promise<MembersAnswer>) {
    this.#ask = ask;
  }

  /**
   * Returns the members of a channel, as of after this call.
   * @throws if the authority doesn't answer
   */
  of(channel: string): Promise<MembersAnswer> {
    const list = this.#lists.get(channel) ?? { current: undefined, next: undefined };
    this.#lists.set(channel, list);
    list.next ??= this.#askNext(channel, list);
    return list.next;
  }

  async #askNext(channel: string, list: List): Promise<MembersAnswer> {
    await list.current?.catch(() => {});
    // Requests of the same turn share the call.
    await undefined;
    list.current = list.next;
    list.next = undefined;
    try {
      return await this.#ask(channel);
    } finally {
      if (list.next === undefined) this.#lists.delete(channel);
    }
  }
}
