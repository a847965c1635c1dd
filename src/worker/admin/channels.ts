/** The list of channels in use, for operators. */
import { EVERYONE, nameFault } from "../../protocol/channels.ts";
import { presenceOf } from "../../protocol/members.ts";
import type { ChannelEntry } from "../../runtime/calls.ts";
import { Denial } from "../denial.ts";
import type { Env } from "../env.ts";
import { json } from "../responses.ts";
import { ask } from "./ask.ts";

/** Most channels in one page, and the default: each may take two calls, and the free plan allows 1,000. */
const MAX_LIMIT = 100;

/** A page of the list. */
interface Wanted {
  prefix: string;
  after: string;
  limit: number;
}

/** @throws Denial if a parameter is invalid */
export function parseWanted(query: URLSearchParams): Wanted {
  const [prefix, after] = [query.get("prefix") ?? "", query.get("after") ?? ""];
  for (const [name, value] of [
    ["prefix", prefix],
    ["after", after],
  ]) {
    const fault = value ? nameFault(value) : undefined;
    if (fault) throw new Denial(400, "invalid", `'${name}' isn't the start of a channel name: ${fault}`);
  }
  const limit = query.get("limit");
  const number = limit === null ? MAX_LIMIT : /^\d{1,6}$/.test(limit) ? Number(limit) : 0;
  if (number >= 1 && number <= MAX_LIMIT) return { prefix, after, limit: number };
  throw new Denial(400, "invalid", `'limit' is a number of channels from 1 to ${MAX_LIMIT}`);
}

/** Returns a page of the channels in use. Each object is asked once; only roots without connections are asked for more. */
export async function listChannels(env: Env, { limit, ...wanted }: Wanted): Promise<Response> {
  const answer = await ask(env, EVERYONE, "channels", { ...wanted, limit: limit + 1 });
  const listed = answer.channels.slice(0, limit);
  const channels = await Promise.all(listed.map((entry) => described(env, entry)));
  const next = answer.channels.length > limit ? { next: listed.at(-1)?.channel } : {};
  return json(200, { channels, ...next, unreachable: answer.unreachable });
}

async function described(env: Env, { channel, subscribers, hasMembers, ...known }: ChannelEntry) {
  const summary = async (object: string) => (await ask(env, object, "summary", undefined).catch(() => undefined)) ?? {};
  const [position = null, members = hasMembers ? null : 0] = await Promise.all([
    known.position ?? summary(channel).then((answer) => answer.position),
    known.members ?? (hasMembers ? summary(presenceOf(channel)).then((answer) => answer.members) : undefined),
  ]);
  return { channel, subscribers, members, position };
}
