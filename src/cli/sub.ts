/** `fanout sub`: messages to standard output, a line each. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Gap, Message } from "../client/fanout.ts";
import { Cursor } from "./cursor.ts";
import { DONE, Exit, GAP, REFUSED } from "./exits.ts";
import { print, remark } from "./output.ts";
import { type ServerOptions, serverAt } from "./server.ts";

export interface SubOptions extends ServerOptions {
  since?: number;
  last?: number;
  count?: number;
  untilCaughtUp?: boolean;
  json?: boolean;
  raw?: boolean;
  exec?: string;
  cursor?: string;
}

/** Messages that may wait to be printed: as many as there is memory for. */
const BUFFER = 1_000_000;

/** @returns the exit code */
export async function sub(url: string, channels: string[], options: SubOptions): Promise<number> {
  const { fanout, inTime } = serverAt(url, options);
  const cursor = options.cursor === undefined ? undefined : await Cursor.read(options.cursor);
  const format = formatOf(options, channels.length > 1);
  let code = DONE;
  let left = options.count ?? Number.POSITIVE_INFINITY;
  const onGap = ({ channel, from, to }: Gap) => {
    code = GAP;
    const after = from === undefined ? "" : ` after ${from}`;
    remark(`messages of ${channel}${after} are not to be had${to === undefined ? "" : `, up to ${to}`}`);
  };
  // One after another, so that what is written is what the cursor says.
  let writing = Promise.resolve();
  const subscriptions = channels.map((channel) => {
    const since = cursor?.positionIn(channel) ?? options.since;
    const onPosition = (position: number) => {
      if (cursor && since === undefined) writing = writing.then(() => cursor.begin(channel, position));
    };
    const { last } = options;
    const subscription = fanout.subscribe(channel, { since, last, buffer: BUFFER, onGap, onPosition });
    return { subscription, iterator: subscription[Symbol.asyncIterator]() };
  });
  const write = async (message: Message) => {
    left -= 1;
    if (options.exec === undefined) await print(format(message));
    else await run(options.exec, message);
    if (message.position !== undefined) await cursor?.reach(message.channel, message.position);
  };
  const reading = subscriptions.map(async ({ subscription, iterator }) => {
    for (let next = await iterator.next(); !next.done && left > 0; next = await iterator.next()) {
      const { value } = next;
      writing = writing.then(() => (left > 0 ? write(value) : undefined));
      await writing;
      if (left <= 0) break;
    }
    subscription.unsubscribe();
    if (left <= 0) for (const { subscription } of subscriptions) subscription.unsubscribe();
  });
  const done = Promise.all(reading);
  done.catch(() => {});
  await inTime(Promise.race([fanout.ping(), done]));
  if (options.untilCaughtUp) {
    // What came before the answer waits to be written.
    await fanout.ping();
    for (const { subscription } of subscriptions) subscription.unsubscribe();
  }
  await inEndlessTime(done);
  await fanout.close();
  return code;
}

async function inEndlessTime(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Exit) throw error;
    throw new Exit(REFUSED, error instanceof Error ? error.message : String(error));
  }
}

function formatOf({ json, raw }: SubOptions, areSeveral: boolean): (message: Message) => string {
  if (json) return ({ channel, text, position }) => JSON.stringify({ channel, text, position });
  if (raw) return ({ channel, text }) => `${channel}!${text}`;
  return ({ channel, text }) => (areSeveral ? `${channel} ${text}` : text);
}

/** Runs a command for a message, which is its standard input. @throws Exit with its code if that is not 0 */
async function run(command: string, { channel, text, position }: Message): Promise<void> {
  const env = { ...process.env, FANOUT_CHANNEL: channel, FANOUT_POSITION: String(position ?? "") };
  const child = spawn("sh", ["-c", command], { stdio: ["pipe", "inherit", "inherit"], env });
  child.stdin.on("error", () => {});
  child.stdin.end(`${text}\n`);
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Exit(Number(code ?? 1), `'${command}' has ended with ${code}`);
}
