/** `fanout revoke` and `fanout channels`: what only operators may do. */
import { DONE, Exit, REFUSED, USAGE } from "../exits.ts";
import { operatorPage } from "../operator-page.ts";
import { print, remark } from "../output.ts";
import type { ServerOptions } from "../server.ts";
import { jsonOf, visible } from "../visible.ts";

/**
 * Revokes the tokens of a subject.
 * @returns the exit code
 */
export async function revoke(url: string, sub: string, options: ServerOptions & { json?: boolean }): Promise<number> {
  if (sub === "") throw new Exit(USAGE, "the subject is missing; name the claim 'sub' of the tokens to revoke");
  const answer = await operatorPage(url, options, "revoke", { method: "POST", body: JSON.stringify({ sub }) });
  if (!isRevoked(answer)) throw new Exit(REFUSED, "the server's answer isn't understood; update this program");
  const { before, objects, unreachable } = answer;
  if (options.json) await print(jsonOf({ sub, before, objects, unreachable }));
  else await print(`revoked ${visible(sub)} in ${objects} objects`);
  if (unreachable > 0) remark(`${unreachable} objects don't answer; they apply it when they do`);
  return DONE;
}

interface Revoked {
  before: number;
  objects: number;
  unreachable: number;
}

function isRevoked(answer: unknown): answer is Revoked {
  if (typeof answer !== "object" || answer === null) return false;
  return ["before", "objects", "unreachable"].every((name) => typeof Reflect.get(answer, name) === "number");
}

export interface ChannelsOptions extends ServerOptions {
  /** Lists only the channels whose names begin with it. */
  prefix?: string;
  json?: boolean;
}

/** A channel in use; members and position are null while they aren't known. */
interface ChannelInUse {
  channel: string;
  subscribers: number;
  members: number | null;
  position: number | null;
}

/**
 * Lists all channels in use, page by page.
 * @returns the exit code
 */
export async function channels(url: string, { prefix = "", json, ...options }: ChannelsOptions): Promise<number> {
  let unreachable = 0;
  let count = 0;
  for (let after: string | undefined = ""; after !== undefined; ) {
    const query: string = new URLSearchParams({ prefix, after }).toString();
    const page = await operatorPage(url, options, `channels?${query}`);
    if (!isPage(page)) throw new Exit(REFUSED, "the server's answer isn't understood; update this program");
    for (const each of page.channels) await print(json ? jsonOf({ ...each }) : lineOf(each));
    count += page.channels.length;
    unreachable = Math.max(unreachable, page.unreachable);
    after = page.next;
  }
  if (count === 0) remark("no channel is in use");
  if (unreachable > 0) remark(`${unreachable} objects don't answer; their subscribers are missing`);
  return DONE;
}

function lineOf({ channel, subscribers, members, position }: ChannelInUse): string {
  return [visible(channel), subscribers, members ?? "-", position ?? "-"].join("\t");
}

interface Page {
  channels: ChannelInUse[];
  next?: string;
  unreachable: number;
}

function isPage(answer: unknown): answer is Page {
  if (typeof answer !== "object" || answer === null || !("channels" in answer && "unreachable" in answer)) return false;
  const { channels, unreachable } = answer;
  const next: unknown = "next" in answer ? answer.next : undefined;
  if (typeof unreachable !== "number" || (next !== undefined && typeof next !== "string")) return false;
  return Array.isArray(channels) && channels.every(isChannel);
}

function isChannel(value: unknown): value is ChannelInUse {
  if (typeof value !== "object" || value === null || !("channel" in value && "subscribers" in value)) return false;
  return typeof value.channel === "string" && typeof value.subscribers === "number";
}
