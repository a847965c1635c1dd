/** The commands of one connection, and their replies: a ping after each command shows when it has taken effect. */
import { EVERYONE } from "../../src/protocol/channels.ts";
import type { Command } from "../../src/protocol/commands.ts";
import type { ErrorCode, Refusal } from "../../src/protocol/errors.ts";
import { Violation } from "./violation.ts";

/** One command, with the ping behind it. */
export interface Step {
  verb: "greeting" | Command["kind"];
  channel: string;
  /** The messages it announces. */
  messages: string[];
  issued: number;
  done: number | undefined;
  /** Number of errors received for it. */
  refusals: number;
  /** The code of the last of them. */
  refusal: ErrorCode | undefined;
  /** The position to resume from. */
  since: number | undefined;
  /** How many of the newest messages it asks for. */
  last: number | undefined;
}

export class Conversation {
  readonly #name: string;
  readonly #now: () => number;
  readonly #steps: Step[] = [];
  readonly #greeting: Step;
  /** Whether the resume that the address asked for has no reply yet. */
  #isResuming: boolean;

  /** @param since the position from which the address resumes its channel */
  constructor(name: string, channel: string, since: number | undefined, now: () => number) {
    this.#name = name;
    this.#now = now;
    this.#greeting = this.begin("greeting", channel);
    this.#greeting.since = since;
    this.#isResuming = since !== undefined;
  }

  begin(verb: Step["verb"], channel = "", messages: string[] = []): Step {
    const issued = this.#now();
    const step: Step = {
      verb,
      channel,
      messages,
      issued,
      done: undefined,
      refusals: 0,
      refusal: undefined,
      since: undefined,
      last: undefined,
    };
    this.#steps.push(step);
    return step;
  }

  /** The oldest command without a reply. */
  get next(): Step | undefined {
    return this.#steps.find(({ done }) => done === undefined);
  }

  /** Whether the client has never subscribed to or unsubscribed from a channel. */
  isNewTo(channel: string): boolean {
    return !this.#steps.some((step) => isAbout(step, channel));
  }

  /** The channels that the client may have subscribed to. */
  get channels(): string[] {
    const subscribes = this.#steps.filter(({ verb }) => verb === "subscribe");
    return [this.#greeting.channel, EVERYONE, ...subscribes.map(({ channel }) => channel)];
  }

  /** The command behind the current subscription to `channel`, once it has taken effect. */
  subscription(channel: string): Step | undefined {
    const last = this.#steps.findLast((step) => isAbout(step, channel) && step.refusals === 0);
    return last?.done === undefined || last.verb === "unsubscribe" ? undefined : last;
  }

  /** The command that allows messages of `channel` to come. */
  reasonFor(channel: string): Step | undefined {
    const last = this.#steps.findLast((step) => isAbout(step, channel) && (step.refusals === 0 || !step.done));
    return last?.verb === "unsubscribe" && last.done !== undefined ? undefined : last;
  }

  /** Returns what a gap or position of a channel replies to: the address, or the next command. */
  answeredBy(channel: string): Step | undefined {
    return this.#isResuming && channel === this.#greeting.channel ? this.#greeting : this.next;
  }

  /** Whether the client has asked to resume a channel, and has no reply yet. */
  willResume(about: string): boolean {
    return this.#steps.some(
      ({ channel, done, since }) => channel === about && done === undefined && since !== undefined,
    );
  }

  /** Notes that a position has answered a resume. */
  located(channel: string): void {
    if (channel === this.#greeting.channel) this.#isResuming = false;
  }

  /** Assigns an error to its command. */
  refuse({ command, argument = "", code }: Refusal): void {
    if (this.#isResuming && command === "subscribe" && argument === this.#greeting.channel) {
      // The client is subscribed anyway, from now on.
      this.#greeting.done = this.#now();
      this.#isResuming = false;
      return;
    }
    const step = this.next;
    if (step?.verb !== command || !isArgument(argument, step)) {
      throw new Violation(`${this.#name} got an error for ${command} ${argument}, which it hadn't sent`);
    }
    step.refusals += 1;
    step.refusal = code;
  }

  /** Handles the reply to a ping: the command before it has taken effect, or failed. */
  answer(): Step {
    const step = this.next;
    if (!step) throw new Violation(`${this.#name} got a reply to a ping it did not send`);
    step.done = this.#now();
    if (step.verb === "announce" && step.refusals % step.messages.length !== 0) {
      throw new Violation(`${this.#name} got ${step.refusals} errors for ${step.messages.length} announcements`);
    }
    return step;
  }
}

/** Whether an error for a command may name this argument: its channel, or one of its keys. */
function isArgument(argument: string, { verb, channel }: Step): boolean {
  if (verb === "info" || verb === "token") return argument === "";
  return verb === "once" ? argument.startsWith(`${channel}:`) : argument === channel;
}

function isAbout({ verb, channel }: Step, about: string): boolean {
  if (verb === "greeting") return about === channel || about === EVERYONE;
  return (verb === "subscribe" || verb === "unsubscribe") && channel === about;
}
