/** Lists the channels in use: those with subscribers or members. Each object lists its own, with those of the objects below. */
import { EVERYONE } from "../protocol/channels.ts";
import { subjectOf } from "../protocol/members.ts";
import type { ChannelEntry, ChannelsAnswer, ChannelsRequest } from "../runtime/calls.ts";
import { channelOf } from "../runtime/object-names.ts";
import type { UpkeepParts } from "./upkeep.ts";

type ListParts = Pick<UpkeepParts, "runtime" | "connections" | "router" | "presence" | "authority">;

/** Returns a function that lists the first channels after a name: of this object, and in the tree of `all`, of those below. */
export function listerOf(parts: ListParts): (request: ChannelsRequest) => Promise<ChannelsAnswer> {
  const { runtime, router } = parts;
  return async (request) => {
    const below = channelOf(runtime.name) === EVERYONE ? [...router.downstream.objects] : [];
    const asked = below.map((object) => runtime.call(object, "channels", request).catch(() => undefined));
    const answers = await Promise.all(asked);
    const lists = answers.flatMap((answer) => answer?.channels ?? []);
    return {
      channels: merged([...ownChannels(parts, request), ...lists]).slice(0, request.limit),
      unreachable: answers.reduce((sum, answer) => sum + (answer?.unreachable ?? 1), 0),
    };
  };
}

/** Lists this object's channels, in any order: as many as are needed for the first `limit` of all objects. */
function ownChannels(parts: ListParts, { prefix, after, limit }: ChannelsRequest): ChannelEntry[] {
  const { connections, presence, authority, runtime } = parts;
  const subject = subjectOf(runtime.name);
  const entered = new Set(presence.channels);
  const names = new Set([...connections.subscriptions.channels, ...entered]);
  if (authority && authority.size > 0 && subject !== undefined) names.add(subject);
  const listed = [...names].filter((name) => name.startsWith(prefix) && name > after).sort();
  return listed.slice(0, limit).map((channel) => ({
    channel,
    subscribers: connections.subscribers(channel),
    hasMembers: entered.has(channel),
    ...(channel === runtime.name && { position: parts.router.channel.position }),
    ...(channel === subject && authority && { members: authority.size }),
  }));
}

/** Adds up what several objects know of the same channels; returns them in the order of their names. */
function merged(entries: ChannelEntry[]): ChannelEntry[] {
  const byName = new Map<string, ChannelEntry>();
  for (const entry of entries) {
    const known = byName.get(entry.channel);
    byName.set(entry.channel, known ? sumOf(known, entry) : entry);
  }
  return [...byName.values()].sort((a, b) => (a.channel < b.channel ? -1 : 1));
}

function sumOf(one: ChannelEntry, other: ChannelEntry): ChannelEntry {
  return {
    channel: one.channel,
    subscribers: one.subscribers + other.subscribers,
    hasMembers: one.hasMembers || other.hasMembers,
    position: one.position ?? other.position,
    members: one.members ?? other.members,
  };
}
