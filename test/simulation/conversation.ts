/** What a client has asked on its connection, and what of that has been answered: each command has a ping behind it. */
import { EVERYONE } from "../../src/protocol/channels.ts";
import type { Command } from "../../src/protocol/commands.ts";
import type { Refusal } from "../../src/protocol/errors.ts";
import { Breach } from "./breach.ts";

/** One command of a client, with the ping that tells when it has taken effect. */
export interface Step {
  verb: "greeting" | Command["kind"];
  channel: string;
  /** Messages announced. */
  messages: string[];
  issued: number;
  done: number | undefined;
  /** Errors that name one of its commands. */
  refusals: number;
  /** The position from which on a subscription is to begin. */
  since: number | undefined;
}

export class Conversation {
  readonly #name: string;
  readonly #now: () => number;
  readonly #steps: Step[] = [];
  readonly #greeting: Step;
  /** Whether what its address asks for has not been answered. */
  #isResuming: boolean;

  /** @param since the position from which on the client wants to hear the channel that it connects at */
  constructor(name: string, channel: string, since: number | undefined, now: () => number) {
    this.#name = name;
    this.#now = now;
    this.#greeting = this.begin("greeting", channel);
    this.#greeting.since = since;
    this.#isResuming = since !== undefined;
  }

  begin(verb: Step["verb"], channel = "", messages: string[] = []): Step {
    const issued = this.#now();
    const step = { verb, channel, messages, issued, done: undefined, refusals: 0, since: undefined };
    this.#steps.push(step);
    return step;
  }

  /** The command that is to be answered next. */
  get next(): Step | undefined {
    return this.#steps.find(({ done }) => done === undefined);
  }

  /** Whether the client has never had to do with a channel. */
  isNewTo(channel: string): boolean {
    return !this.#steps.some((step) => isAbout(step, channel));
  }

  /** The channels that the client may be let in to. */
  get channels(): string[] {
    const subscribes = this.#steps.filter(({ verb }) => verb === "subscribe");
    return [this.#greeting.channel, EVERYONE, ...subscribes.map(({ channel }) => channel)];
  }

  /** The subscription to `channel` that still stands, and has taken effect. */
  subscription(channel: string): Step | undefined {
    const last = this.#steps.findLast((step) => isAbout(step, channel) && step.refusals === 0);
    return last?.done === undefined || last.verb === "unsubscribe" ? undefined : last;
  }

  /** The command on the strength of which messages of `channel` may come. */
  reasonFor(channel: string): Step | undefined {
    const last = this.#steps.findLast(
      (step) => isAbout(step, channel) && (step.refusals === 0 || !step.done),
    );
    return last?.verb === "unsubscribe" && last.done !== undefined ? undefined : last;
  }

  /** What a position of a channel answers: the address, or the next command. */
  located(channel: string): Step | undefined {
    const isOfAddress = this.#isResuming && channel === this.#greeting.channel;
    if (isOfAddress) this.#isResuming = false;
    return isOfAddress ? this.#greeting : this.next;
  }

  /** An error names the command that it answers. */
  refuse({ command, argument = "" }: Refusal): void {
    if (this.#isResuming && command === "subscribe" && argument === this.#greeting.channel) {
      // The client is subscribed all the same, from now on.
      this.#greeting.done = this.#now();
      this.#isResuming = false;
      return;
    }
    const step = this.next;
    if (step?.verb !== command || !isArgument(argument, step)) {
      throw new Breach(`${this.#name} was refused ${command} ${argument}, which it does not wait for`);
    }
    step.refusals += 1;
  }

  /** The answer to the ping behind a command has come: by now it has taken effect, or was refused. */
  answer(): Step {
    const step = this.next;
    if (!step) throw new Breach(`${this.#name} got an answer to a ping it did not send`);
    step.done = this.#now();
    if (step.verb === "announce" && step.refusals % step.messages.length !== 0) {
      throw new Breach(`${this.#name} got ${step.refusals} errors for ${step.messages.length} announcements`);
    }
    return step;
  }
}

/** Whether an error for a step's commands may name this argument: its channel, or one of its keys. */
function isArgument(argument: string, { verb, channel }: Step): boolean {
  if (verb === "info" || verb === "token") return argument === "";
  return verb === "once" ? argument.startsWith(`${channel}:`) : argument === channel;
}

function isAbout({ verb, channel }: Step, about: string): boolean {
  if (verb === "greeting") return about === channel || about === EVERYONE;
  return (verb === "subscribe" || verb === "unsubscribe") && channel === about;
}
