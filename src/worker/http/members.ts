/** The members of a channel by HTTP: `GET /presence/<channel>?members`, in pages. */
import { memberFault, presenceFault, presenceOf, subjectOf } from "../../protocol/members.ts";
import { NO_PRESENCE } from "../../protocol/refusals.ts";
import type { Member } from "../../runtime/calls.ts";
import { SettingError } from "../../runtime/limits.ts";
import { stubOf, WORKER_HOPS } from "../calls.ts";
import { Denial, retryAfter } from "../denial.ts";
import type { Env } from "../env.ts";
import { chargeAddress, MESSAGE_COST, OBJECT_COST } from "../rate-limit.ts";
import { json, POSITION } from "../responses.ts";
import type { Settings } from "../settings.ts";

const PARAMETER = "members";

/** Most members in one page, and the default. */
const MAX_LIMIT = 1_000;

/** Parameters that only subscriptions have. */
const OTHERS = ["since", "last", "poll", "channel"];

/** The members of a channel at a position of its presence channel. */
export interface Members {
  position: number;
  /** In the order of their names. */
  members: { member: string; data?: string }[];
}

/** Whether a request asks for members. */
export function wantsMembers({ url }: Request): boolean {
  return new URL(url).searchParams.has(PARAMETER);
}

/**
 * Answers with a page of the members.
 * @param channel the channel that the path names
 * @throws Denial if the request is refused
 */
export async function membersPage(request: Request, env: Env, channel: string, settings: Settings): Promise<Response> {
  const subject = subjectIn(channel);
  const { limit, after } = pageIn(new URL(request.url).searchParams);
  const { linesPerSecond } = settings.limits;
  chargeAddress(request, OBJECT_COST, linesPerSecond);
  const { position, members } = await membersOf(env, subject);
  const following = members.filter(({ member }) => member > after);
  const page = following.slice(0, limit);
  chargeAddress(request, MESSAGE_COST * page.length, linesPerSecond);
  const next = following.length > limit ? { next: page.at(-1)?.member } : {};
  const body = { channel: subject, position, count: members.length, members: page, ...next };
  return json(200, body, { [POSITION]: String(position) });
}

/**
 * Returns the members of a channel.
 * @throws Denial if they can't be known; SettingError if the deployment is at fault
 */
export async function membersOf(env: Env, channel: string): Promise<Members> {
  const asked = stubOf(env, presenceOf(channel)).call("members", undefined, WORKER_HOPS);
  const answer = await asked.catch((error: unknown) => {
    if (error instanceof SettingError) throw error;
    throw new Denial(503, "unavailable", "the channel's object doesn't answer; try again later", retryAfter(1));
  });
  if ("none" in answer) throw new Denial(400, "no-history", NO_PRESENCE);
  return { position: answer.position, members: answer.members.map(withoutEmptyData) };
}

function withoutEmptyData({ member, data }: Member): { member: string; data?: string } {
  return data === "" ? { member } : { member, data };
}

/** Returns the channel whose members a path names. @throws Denial if it names none */
function subjectIn(channel: string): string {
  const subject = subjectOf(channel);
  const fault = subject === undefined ? undefined : presenceFault(subject);
  if (fault !== undefined) throw new Denial(400, "invalid", fault);
  if (subject !== undefined) return subject;
  throw new Denial(400, "invalid", `members are at /${presenceOf(channel)}?${PARAMETER}`);
}

/** Returns which members a query asks for. @throws Denial if a parameter is invalid */
function pageIn(query: URLSearchParams): { limit: number; after: string } {
  const other = OTHERS.find((name) => query.has(name));
  if (other !== undefined) {
    throw new Denial(400, "invalid", `'${PARAMETER}' and '${other}' can't be combined; list members, then subscribe`);
  }
  const after = query.get("after") ?? "";
  const fault = after === "" ? undefined : memberFault(after);
  if (fault !== undefined) throw new Denial(400, "invalid", `'after' isn't a member: ${fault}`);
  const word = query.get("limit") ?? String(MAX_LIMIT);
  const limit = /^\d{1,9}$/.test(word) ? Number(word) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return { limit, after };
  throw new Denial(400, "invalid", `'limit' is a number of members from 1 to ${MAX_LIMIT}`);
}
