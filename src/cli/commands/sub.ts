/** `fanout sub`: messages to standard output, one per line, or to commands. */

import type { Fanout, Gap, Message } from "../../client/fanout.ts";
import { readAcknowledgements } from "../acknowledgements.ts";
import { type Cursor, openCursor } from "../cursor.ts";
import { execute } from "../execute.ts";
import { DONE, Exit, GAP, USAGE } from "../exits.ts";
import { print, printAsIs, remark, surviveClosedPipe } from "../output.ts";
import { Queue } from "../queue.ts";
import { reportConnection, type ServerOptions, serverAt } from "../server.ts";
import { doneWhen } from "../signals.ts";
import { checkChannel } from "../values.ts";
import { jsonOf } from "../visible.ts";

export interface SubOptions extends ServerOptions {
  json?: boolean;
  raw?: boolean;
  since?: number;
  last?: number;
  count?: number;
  untilCaughtUp?: boolean;
  exec?: string;
  /** Commands by channel. */
  on: Map<string, string>;
  cursor?: string;
  /** The file descriptor for acknowledgements. */
  ack?: number;
}

/** @returns the exit code */
export async function sub(url: string, words: string[], options: SubOptions): Promise<number> {
  const channels = channelsOf(words, options);
  const { fanout, inTime, failure } = serverAt(url, options);
  const cursor = options.cursor === undefined ? undefined : openCursor(options.cursor);
  doneWhen(() => options.count === undefined && !options.untilCaughtUp);
  reportConnection(fanout);
  const sink = sinkOf(options, channels, cursor);
  const run = subscribeAll(fanout, channels, options, cursor, sink);
  const done = Promise.race([run.done, failure, ...(sink.failure ? [sink.failure] : [])]);
  done.catch(() => {});
  await inTime(Promise.race([fanout.ping(), done]));
  if (options.untilCaughtUp) {
    // The reply follows all missed messages, which are queued when it is received.
    await Promise.race([fanout.ping(), done]);
    run.unsubscribe();
  }
  await done;
  await sink.settled();
  await fanout.close();
  return run.hasGaps() ? GAP : DONE;
}

/** Returns the channels without duplicates. @throws Exit for missing or invalid arguments */
function channelsOf(words: string[], { on, ack, cursor, exec, since, last }: SubOptions): string[] {
  const channels = [...new Set([...words, ...on.keys()])];
  if (channels.length === 0) throw new Exit(USAGE, "the channel is missing; give it after the address");
  channels.forEach(checkChannel);
  if (ack !== undefined && cursor === undefined) throw new Exit(USAGE, "--ack needs --cursor <file>");
  if (ack !== undefined && (exec !== undefined || on.size > 0)) {
    throw new Exit(USAGE, "--ack is for pipes; with --exec, a command acknowledges a message by exiting with 0");
  }
  if (since !== undefined && last !== undefined) throw new Exit(USAGE, "use --since or --last, not both");
  return channels;
}

/** The destination of messages. */
type Sink = ReturnType<typeof sinkOf>;

function sinkOf(options: SubOptions, channels: string[], cursor: Cursor | undefined) {
  const { ack } = options;
  const commandOf = (channel: string) => options.on.get(channel) ?? options.exec;
  const acks = ack === undefined || !cursor ? undefined : readAcknowledgements(ack, cursor, channels);
  if (acks) surviveClosedPipe();
  return {
    /** Rejects if the consumer fails. */
    failure: acks?.failure,
    /** Stores the position at which a channel starts. */
    begin: (channel: string, position: number) => cursor?.begin(channel, position),
    /** Resolves when a message is printed, or its command has ended. */
    async message(message: Message): Promise<void> {
      const { channel, position } = message;
      if (position !== undefined) acks?.expect(channel, position);
      const command = commandOf(channel);
      if (command === undefined) {
        const printed = printMessage(message, options, channels.length > 1);
        // A consumer that closed the pipe may still acknowledge earlier messages.
        await (acks ? printed.catch(() => acks.failure) : printed);
      } else await execute(command, message);
      if (position !== undefined && !acks) cursor?.reach(channel, position);
    },
    async gap({ channel, from, to }: Gap): Promise<void> {
      const after = from === undefined ? "" : ` after ${from}`;
      remark(`messages of ${channel}${after} are lost${to === undefined ? "" : `, up to ${to}`}: they have expired`);
      if (options.json && commandOf(channel) === undefined) await print(jsonOf({ channel, gap: { from, to } }));
    },
    /** Resolves when everything is acknowledged. */
    settled: async () => acks?.settled(),
  };
}

/** Prints a message. Only `raw` sends control characters to a terminal. */
function printMessage({ channel, text, position }: Message, { json, raw }: SubOptions, areSeveral: boolean) {
  if (json) return print(jsonOf({ channel, text, position }));
  if (raw) return printAsIs(`${channel}!${text}`);
  return print(areSeveral ? `${channel} ${text}` : text);
}

/** Subscribes to channels, and processes messages and gaps one at a time in the order received. */
function subscribeAll(fanout: Fanout, channels: string[], options: SubOptions, cursor: Cursor | undefined, sink: Sink) {
  const queue = new Queue(options.count);
  let hasGaps = false;
  const ends = channels.map((channel) => {
    const since = cursor?.positionIn(channel) ?? options.since;
    let hasBegun = since !== undefined;
    const onPosition = (position: number) => {
      if (!hasBegun) queue.add(async () => sink.begin(channel, position));
      hasBegun = true;
    };
    const onGap = (gap: Gap) => {
      hasGaps = true;
      queue.add(() => sink.gap(gap));
    };
    const onMessage = (message: Message) => queue.addMessage(() => sink.message(message));
    const { last } = options;
    const subscription = fanout.subscribe(channel, { since, last, onGap, onPosition, onMessage });
    const ended = new Promise<void>((resolve, reject) => {
      subscription.on("state", ({ state, error }) => {
        if (state === "unsubscribed") error ? reject(error) : resolve();
      });
    });
    return { subscription, ended };
  });
  const ended = Promise.all(ends.map(({ ended }) => ended)).then(() => queue.drained());
  const unsubscribe = () => {
    for (const { subscription } of ends) subscription.unsubscribe();
  };
  return { done: Promise.race([ended, queue.finished]), unsubscribe, hasGaps: () => hasGaps };
}
