/** Presence: the members of a channel, and the channel on which the server announces how they change. */
import { channelFault, MAX_NAME_BYTES } from "./channels.ts";
import { isLongerThan } from "./text.ts";

/** Longest name of a member, in bytes of UTF-8. */
export const MAX_MEMBER_BYTES = 64;

/** Longest data of a member, in bytes of UTF-8. */
export const MAX_DATA_BYTES = 1_024;

/** The start of the names of presence channels. Only the server announces on them. */
const PREFIX = "presence/";

/** A member of a channel. */
export interface Member {
  member: string;
  /** "" without any. */
  data: string;
}

/** A change of a channel's members. */
export type MemberChange =
  | { kind: "enter" | "update"; member: string; data: string }
  | { kind: "leave"; member: string };

/** Returns the channel on which the server announces changes of a channel's members. */
export function presenceOf(channel: string): string {
  return PREFIX + channel;
}

/** Returns the channel whose members a presence channel is about; undefined for other channels. */
export function subjectOf(channel: string): string | undefined {
  return channel.startsWith(PREFIX) ? channel.slice(PREFIX.length) : undefined;
}

/** Returns why a channel can't have members; undefined if it can. */
export function presenceFault(channel: string): string | undefined {
  if (subjectOf(channel) !== undefined) return `'${PREFIX}…' is about another channel's members, and has none itself`;
  const most = MAX_NAME_BYTES - PREFIX.length;
  if (channel !== "" && isLongerThan(channel, most)) return `a channel with members has at most ${most} bytes`;
  return channelFault(channel);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control characters
const FORBIDDEN_IN_MEMBER = /[\u0000-\u0020\u007f-\u009f]/;

/** Returns why `member` is no valid name of a member; undefined if it is valid. */
export function memberFault(member: string): string | undefined {
  if (member === "") return "the name of a member is missing";
  if (isLongerThan(member, MAX_MEMBER_BYTES)) return `the name of a member has at most ${MAX_MEMBER_BYTES} bytes`;
  if (FORBIDDEN_IN_MEMBER.test(member)) return "the name of a member has no space or control character";
  return undefined;
}

/** Returns why `data` can't be the data of a member; undefined if it can. */
export function dataFault(data: string): string | undefined {
  if (isLongerThan(data, MAX_DATA_BYTES)) return `the data of a member has at most ${MAX_DATA_BYTES} bytes`;
  return data.includes("\n") ? "the data of a member is one line; encode it, for example as JSON" : undefined;
}

/** Formats a member as `<member>[ <data>]`. */
export function formatMember({ member, data }: Member): string {
  return data === "" ? member : `${member} ${data}`;
}

/** The inverse of `formatMember`. */
export function parseMember(text: string): Member {
  const space = text.indexOf(" ");
  return space < 0 ? { member: text, data: "" } : { member: text.slice(0, space), data: text.slice(space + 1) };
}

/** Formats a change as the message that the server announces: `enter ann {"x":1}`, `update ann`, `leave ann`. */
export function formatChange(change: MemberChange): string {
  return `${change.kind} ${change.kind === "leave" ? change.member : formatMember(change)}`;
}

/** The inverse of `formatChange`; returns undefined for other text, which a newer server may announce. */
export function parseChange(message: string): MemberChange | undefined {
  const [, kind, rest = ""] = /^(enter|update|leave) (.+)$/s.exec(message) ?? [];
  if (kind === "enter" || kind === "update") return { kind, ...parseMember(rest) };
  return kind === "leave" ? { kind, member: rest } : undefined;
}

/** Returns members, given as the data of each name, in the order of lists: sorted by name. */
export function listMembers(members: ReadonlyMap<string, string>): Member[] {
  const sorted = [...members].sort(([one], [other]) => (one < other ? -1 : 1));
  return sorted.map(([member, data]) => ({ member, data }));
}
