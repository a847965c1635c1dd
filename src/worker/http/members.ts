/** The members of a channel, for callers without a connection: by `GET /presence/<channel>?members`, or by a call. */
import { memberFault, presenceFault, presenceOf, subjectOf } from "../../protocol/members.ts";
import { CONNECTIONS_ENTER, NO_PRESENCE } from "../../protocol/refusals.ts";
import type { MembersAnswer } from "../../runtime/calls.ts";
import { SettingError } from "../../runtime/limits.ts";
import { admit, checkSubscribe } from "../admission.ts";
import { stubOf, WORKER_HOPS } from "../calls.ts";
import { channelIn } from "../channel-path.ts";
import { Denial, retryAfter } from "../denial.ts";
import type { Env } from "../env.ts";
import { wordsOf } from "../headers.ts";
import { chargeAddress, debitAddress, OBJECT_COST } from "../rate-limit.ts";
import { json, POSITION } from "../responses.ts";
import type { Settings } from "../settings.ts";
import { SUBSCRIBE_PARAMETERS, wantsEvents } from "./subscribe.ts";

/** A member, without data if it has none. */
export interface ListedMember {
  member: string;
  data?: string;
}

/** The members of a channel at a position of its presence channel, sorted by name. */
export interface MemberList {
  position: number;
  members: ListedMember[];
}

/** Most members of one response. */
const MOST_PER_PAGE = 1_000;

/** Members that cost one line. The object always sends all of them, so their number counts, not that of a page. */
const MEMBERS_PER_LINE = 100;

const METHODS = "GET, HEAD, OPTIONS";

/** Whether a request is about a list of members. */
export function asksForMembers({ url }: Request): boolean {
  return new URL(url).searchParams.has("members");
}

/**
 * Returns a page of a channel's members.
 * @param path the part of the request's path that is below the server's prefix
 * @throws Denial if the request is refused
 */
export async function listMembers(request: Request, env: Env, path: string, settings: Settings): Promise<Response> {
  const channel = subjectIn(request, path);
  checkKind(request, channel);
  const { limit, after } = pageIn(new URL(request.url).searchParams);
  checkSubscribe(await admit(request, settings), presenceOf(channel));
  const { linesPerSecond } = settings.limits;
  chargeAddress(request, OBJECT_COST, linesPerSecond);
  const { position, members } = await membersOf(env, channel);
  debitAddress(request, Math.floor(members.length / MEMBERS_PER_LINE), linesPerSecond);
  const rest = after === undefined ? members : members.filter(({ member }) => member > after);
  const page = rest.slice(0, limit);
  const next = page.length < rest.length ? page.at(-1)?.member : undefined;
  const list = { channel, position, count: members.length, members: page, next };
  return json(200, list, { [POSITION]: String(position) });
}

/**
 * Returns all members of a channel.
 * @throws Denial if the channel can't have members, or its object doesn't answer; SettingError if the deployment is at
 * fault
 */
export async function membersOf(env: Env, channel: string): Promise<MemberList> {
  const fault = presenceFault(channel);
  if (fault !== undefined) throw new Denial(400, "invalid", fault);
  const answer = await ask(env, channel);
  if ("none" in answer) throw new Denial(400, "no-history", NO_PRESENCE);
  const { position, members } = answer;
  return { position, members: members.map(({ member, data }) => (data === "" ? { member } : { member, data })) };
}

async function ask(env: Env, channel: string): Promise<MembersAnswer> {
  try {
    return await stubOf(env, presenceOf(channel)).call("members", undefined, WORKER_HOPS);
  } catch (error) {
    if (error instanceof SettingError) throw error;
    const why = "the members of this channel can't be reached now; try again";
    throw new Denial(503, "unavailable", why, retryAfter(5));
  }
}

/**
 * Returns the channel whose members a path names.
 * @throws Denial if it names none, or if the method doesn't read
 */
function subjectIn({ method, url }: Request, path: string): string {
  if (method !== "GET" && method !== "HEAD") {
    throw new Denial(405, "invalid", `'?members' is read by GET; ${CONNECTIONS_ENTER}`, { Allow: METHODS });
  }
  const channel = channelIn(path);
  const subject = subjectOf(channel);
  if (subject === undefined) {
    const { pathname } = new URL(url);
    const prefix = pathname.endsWith(path) ? pathname.slice(0, -path.length) : "";
    const right = `${prefix}/presence${path === "/" ? `/${channel}` : path}?members`;
    throw new Denial(400, "invalid", `members are listed below '/presence/', for this channel at '${right}'`);
  }
  const fault = presenceFault(subject);
  if (fault !== undefined) throw new Denial(400, "invalid", fault);
  return subject;
}

/** Refuses requests that ask for a list of members and for a subscription. */
function checkKind(request: Request, channel: string): void {
  const refuse = (what: string, instead: string) => {
    throw new Denial(400, "invalid", `'?members' is one list, which can't be combined with ${what}; ${instead}`);
  };
  const { searchParams } = new URL(request.url);
  const follow = `to follow its changes, subscribe to '${presenceOf(channel)}' since its position`;
  for (const name of SUBSCRIBE_PARAMETERS) if (searchParams.has(name)) refuse(`'${name}'`, follow);
  if (wantsEvents(request)) refuse("server-sent events", follow);
  const isUpgrade = wordsOf(request, "Upgrade").some((word) => word.split("/")[0] === "websocket");
  if (isUpgrade) refuse("a WebSocket", `on a WebSocket, send 'members ${channel}'`);
}

/** Returns how many members a request wants, and after which name. */
function pageIn(query: URLSearchParams): { limit: number; after: string | undefined } {
  const word = query.get("limit") ?? String(MOST_PER_PAGE);
  const limit = /^[1-9]\d{0,3}$/.test(word) ? Number(word) : Number.NaN;
  // NaN isn't in the range.
  if (!(limit <= MOST_PER_PAGE)) {
    throw new Denial(400, "invalid", `'limit' is a whole number from 1 to ${MOST_PER_PAGE}`);
  }
  const after = query.get("after") ?? undefined;
  const fault = after === undefined ? undefined : memberFault(after);
  if (fault !== undefined) throw new Denial(400, "invalid", `'after' takes the name of a member, but ${fault}`);
  return { limit, after };
}
