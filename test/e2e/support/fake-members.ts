/** The presence of one connection to a fake server. */
import { parseCommand } from "../../../src/protocol/commands.ts";
import { formatChange, type MemberChange, presenceOf } from "../../../src/protocol/members.ts";
import { formatMemberOf, formatMembers } from "../../../src/protocol/replies.ts";

interface Channel {
  messages: string[];
  /** The data of each member, by name. */
  members: Map<string, string>;
}

export class FakeMembers {
  readonly #channelOf: (name: string) => Channel;
  readonly #announce: (channel: string, message: string) => unknown;
  readonly #send: (line: string) => void;
  /** The member of each channel that this connection has entered. */
  readonly #entered = new Map<string, string>();

  constructor(
    channelOf: (name: string) => Channel,
    announce: (channel: string, message: string) => unknown,
    send: (line: string) => void,
  ) {
    this.#channelOf = channelOf;
    this.#announce = announce;
    this.#send = send;
  }

  /** Carries out a command about members; returns whether the line was one. */
  execute(line: string): boolean {
    const command = parseCommand(line);
    if (command.kind === "enter") this.#enter(command.channel, command.member, command.data);
    else if (command.kind === "leave") this.#leave(command.channel);
    else if (command.kind === "members") this.#list(command.channel);
    else return false;
    return true;
  }

  /** Lets all members of the connection leave. */
  end(): void {
    for (const channel of [...this.#entered.keys()]) this.#leave(channel);
  }

  #enter(channel: string, member: string, data: string): void {
    const { members } = this.#channelOf(channel);
    const kind = members.has(member) ? "update" : "enter";
    if (members.get(member) !== data) this.#change(channel, { kind, member, data });
    members.set(member, data);
    this.#entered.set(channel, member);
  }

  #leave(channel: string): void {
    const member = this.#entered.get(channel) ?? "";
    this.#entered.delete(channel);
    if (this.#channelOf(channel).members.delete(member)) this.#change(channel, { kind: "leave", member });
  }

  #list(channel: string): void {
    const { members } = this.#channelOf(channel);
    const position = this.#channelOf(presenceOf(channel)).messages.length;
    this.#send(formatMembers(channel, position, members.size).trimEnd());
    for (const [member, data] of [...members].sort()) {
      this.#send(formatMemberOf(channel, { member, data }).replace(/\n$/, ""));
    }
  }

  #change(channel: string, change: MemberChange): void {
    this.#announce(presenceOf(channel), formatChange(change));
  }
}
