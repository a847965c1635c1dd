/** `fanout members`: lists the members of a channel, and follows their changes. */
import type { Members } from "../../client/fanout.ts";
import { formatMember, listMembers, type Member, presenceFault } from "../../protocol/members.ts";
import { DONE, Exit, USAGE } from "../exits.ts";
import { print, remark } from "../output.ts";
import { Queue } from "../queue.ts";
import { reportConnection, type ServerOptions, serverAt } from "../server.ts";
import { doneWhen } from "../signals.ts";
import { jsonOf } from "../visible.ts";

export interface MembersOptions extends ServerOptions {
  /** Whether to print each change too, until the program is stopped. */
  follow?: boolean;
  json?: boolean;
}

/** The first character of each line of `--follow`. A sign before every line leaves no name that looks like a sign. */
const SIGNS = { present: "=", enter: "+", update: "~", leave: "-" };

type Change = keyof typeof SIGNS;

/** @returns the exit code */
export async function members(url: string, channel: string, options: MembersOptions): Promise<number> {
  const fault = presenceFault(channel);
  if (fault !== undefined) throw new Exit(USAGE, fault);
  const { fanout, inTime, failure } = serverAt(url, options);
  doneWhen(() => options.follow === true);
  if (options.follow) reportConnection(fanout);
  const list = fanout.members(channel);
  await inTime(list.ready);
  if (options.follow) await Promise.race([follow(list, options), failure]);
  else await printAll(channel, list.current, options.json ? (member) => jsonOf(fieldsOf(member)) : formatMember);
  await fanout.close();
  return DONE;
}

/** Prints the members, sorted by name. */
async function printAll(
  channel: string,
  members: ReadonlyMap<string, string>,
  lineOf: (member: Member) => string,
): Promise<void> {
  if (members.size === 0) remark(`${channel} has no members`);
  else await print(listMembers(members).map(lineOf).join("\n"));
}

/** Prints the members, and each change until the server ends the subscription. The list must be complete. */
async function follow(list: Members, { json }: MembersOptions): Promise<void> {
  const queue = new Queue();
  const lineOf = (change: Change, member: Member) =>
    json ? jsonOf({ change, ...fieldsOf(member) }) : `${SIGNS[change]} ${formatMember(member)}`;
  // Nothing is awaited from here to the last listener, so no change is missed or printed twice.
  const now = new Map(list.current);
  queue.add(() => printAll(list.channel, now, (member) => lineOf("present", member)));
  const add = (line: string) => queue.add(() => print(line));
  list.on("added", ({ member, data }) => add(lineOf("enter", { member, data })));
  list.on("updated", ({ member, data }) => add(lineOf("update", { member, data })));
  list.on("removed", ({ member }) => add(lineOf("leave", { member, data: "" })));
  const ended = new Promise<void>((resolve, reject) => {
    list.on("state", ({ state, error }) => {
      if (state === "unsubscribed") error ? reject(error) : resolve();
    });
  });
  await Promise.race([ended, queue.finished]);
}

/** Returns a member for JSON; empty data is omitted. */
function fieldsOf({ member, data }: Member): { member: string; data: string | undefined } {
  return { member, data: data || undefined };
}
