/** The search for the object of a channel's tree that takes a new connection. */

import type { Fault } from "../protocol/errors.ts";
import { channelOf, parentOf } from "../runtime/object-names.ts";
import type { Placement } from "../tree/capacity.ts";
import { type Clock, within } from "./clock.ts";
import { UNANSWERED } from "./greeting.ts";

/** How long the children that channels were sent to are remembered, in milliseconds. */
const REMEMBERED_FOR = 10_000;
/** Most channels of which a child is remembered. */
const MOST_REMEMBERED = 1_000;
/** Most objects asked for one connection. Only a race with very many others takes more than three. */
const MOST_ASKED = 16;
/** How long one object may take to answer, and the whole search, in milliseconds. */
const ASKED_WITHIN = 15_000;
const PLACED_WITHIN = 30_000;

const FULL: Fault = { code: "unavailable", why: "every object of this channel is full; try again" };

/** A question to an object: whether it takes a connection. */
export interface Question {
  object: string;
  /** The child of the object that turned out to be full; "" if none did. */
  full: string;
  /** Whether an object without room is to place the connection below itself. */
  below: boolean;
}

/** An object's answer: it has taken the connection, or names another object. */
export type Answer<T> = { taken: T } | { elsewhere: Placement };

/** Objects, asked on behalf of one client. */
export interface Objects<T> {
  /** @throws anything if the object doesn't answer */
  ask(question: Question): Promise<Answer<T>>;
  /** Gives up a connection that was taken too late. */
  discard(taken: T): void;
}

/** Of channels whose root is full: the child that had room last. */
export class Remembered {
  readonly #clock: Clock;
  readonly #children = new Map<string, { child: string; until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns the object to ask first. */
  recall(channel: string): string {
    const known = this.#children.get(channel);
    return known && known.until > this.#clock.now() ? known.child : channel;
  }

  remember(channel: string, child: string): void {
    if (this.#children.size >= MOST_REMEMBERED) this.#children.clear();
    this.#children.set(channel, { child, until: this.#clock.now() + REMEMBERED_FOR });
  }

  forget(channel: string): void {
    this.#children.delete(channel);
  }
}

/** Places a connection in the channel's root, or, if that is full, in the child that the root names. */
export async function placeIn<T>(
  channel: string,
  objects: Objects<T>,
  remembered: Remembered,
  clock: Clock,
): Promise<{ taken: T } | Fault> {
  const until = clock.now() + PLACED_WITHIN;
  const first = remembered.recall(channel);
  let question: Question | undefined = { object: first, full: "", below: false };
  for (let asked = 0; question && asked < MOST_ASKED; asked++) {
    const answer = await ask(objects, question, clock, Math.min(until, clock.now() + ASKED_WITHIN));
    if (answer && "taken" in answer) return answer;
    if (answer) question = follow(channel, question, answer.elsewhere, remembered);
    else {
      // A remembered child may have gone, and the root may have room again.
      remembered.forget(channel);
      const isRoot = question.object === channel;
      question = asked === 0 && !isRoot ? { object: channel, full: "", below: false } : undefined;
    }
    if (!question) return UNANSWERED;
  }
  return FULL;
}

/** Returns undefined if the object doesn't answer in time. */
async function ask<T>(
  objects: Objects<T>,
  question: Question,
  clock: Clock,
  until: number,
): Promise<Answer<T> | undefined> {
  const asked = objects.ask(question).catch(() => undefined);
  const answer = await within(clock, until, asked);
  const discard = (late: Answer<T> | undefined) => {
    if (late && "taken" in late) objects.discard(late.taken);
  };
  if (!answer) void asked.then(discard);
  return answer;
}

/** Returns the next question; undefined if the object named is none of the channel's. */
function follow(
  channel: string,
  { object }: Question,
  { object: named, below }: Placement,
  remembered: Remembered,
): Question | undefined {
  if (named === "") {
    remembered.forget(channel);
    return { object: parentOf(object) ?? channel, full: object, below };
  }
  if (channelOf(named) !== channel) return undefined;
  remembered.remember(channel, named);
  return { object: named, full: "", below };
}
