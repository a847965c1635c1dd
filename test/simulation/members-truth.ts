/**
 * Who is present as whom, by the replies that clients got; and judges of each change that the server announces, of each
 * list that it sends, and of the members when all is quiet.
 */
import { presenceOf } from "../../src/protocol/members.ts";
import type { Member } from "../../src/runtime/calls.ts";
import type { CoverageGoal } from "./coverage.ts";
import { type AnnouncedChange, type LogRules, type Members, MembersLog, show } from "./members-log.ts";
import { check } from "./violation.ts";

/** The channels that have members. */
export const MEMBER_CHANNELS = ["a", "all"];

/** The names that all clients share, so that some members have several connections. */
export const MEMBERS = ["ann", "bob", "cy"];

/** A command that allows the server to announce a change of a member, for a while. */
export interface Cause {
  channel: string;
  kind: "present" | "leave";
  member: string;
  /** Undefined for any. */
  data: string | undefined;
  from: number;
  to: number;
}

/** A command to enter, in the client's history. */
export interface Entered {
  channel: string;
  member: string;
  data: string;
  issued: number;
  done: number | undefined;
  /** Whether the server has refused it, so that it was undone. */
  isRefused: boolean;
  /** Whether the client had this data before. */
  isRepeated: boolean;
}

/** One connection, and what its client knows of its presence. */
export interface Witness {
  readonly name: string;
  /** The object that it is connected to. */
  readonly home: string;
  /** Whether the connection is open at both ends. */
  readonly isConnected: boolean;
  /** As whom the client is certainly present; undefined if it isn't, or may not be. */
  certain(channel: string): Member | undefined;
  /** As whom the client may be present. */
  possible(channel: string): Set<string>;
  /** Whether the client is, or was at its end, perhaps present as a member, or may be so late. */
  hasHeld(channel: string, member: string): boolean;
  /** The commands to enter as a member. */
  history(channel: string, member: string): Entered[];
  /** Whether the client's refused commands may still change a member's data. */
  isUncertain(channel: string, member: string): boolean;
}

/** How a member lost a connection without saying so. */
interface Loss {
  at: number;
  isCrash: boolean;
}

/** The service, as the truth sees it. */
export interface MembersService {
  now(): number;
  cover(goal: CoverageGoal): void;
  /** The stored rows of an object. */
  rowsOf(object: string): Map<string, unknown>;
}

/** What the server promises in this run. */
export interface MembersRules extends LogRules {
  /** How long members without connections stay, in milliseconds. */
  grace: number;
  /** Most members of a channel. */
  most: number;
}

/** Time that it takes to announce that a member has left, besides its grace period, in milliseconds. */
const PROMPT = 5_000;

export class MembersTruth {
  readonly rules: MembersRules;
  readonly #service: MembersService;
  readonly #logs: MembersLog[];
  readonly #clients: Witness[] = [];
  readonly #causes: Cause[] = [];
  /** By channel and member, how its last connection that certainly was present ended. */
  readonly #losses = new Map<string, Loss>();
  /** By channel and member, when it last may have had a connection. */
  readonly #lastPossible = new Map<string, number>();
  /** Channels and members that may stay until something wakes the object that they were connected to. */
  readonly #stranded = new Set<string>();

  constructor(rules: MembersRules, service: MembersService) {
    this.rules = rules;
    this.#service = service;
    this.#logs = MEMBER_CHANNELS.map((channel) => new MembersLog(channel, rules));
  }

  /** The changes of a channel's members. */
  log(channel: string): MembersLog {
    const log = this.#logs.find((each) => each.channel === channel);
    check(log !== undefined, () => `${channel} has members`);
    return log;
  }

  add(client: Witness): void {
    this.#clients.push(client);
  }

  /** Judges the changes that have been stored since the last call. */
  scan(): void {
    for (const log of this.#logs) {
      for (const each of log.scan(this.#service.rowsOf(presenceOf(log.channel)), this.#service.now())) {
        if (this.rules.isComplete) this.#judge(log, each);
      }
    }
  }

  // --- causes

  /** Records that a command allows a change from now on. */
  allow(cause: Omit<Cause, "from" | "to">): Cause {
    const whole = { ...cause, from: this.#service.now(), to: Number.POSITIVE_INFINITY };
    this.#causes.push(whole);
    return whole;
  }

  #isCaused(channel: string, kind: Cause["kind"], member: string, data?: string): boolean {
    const now = this.#service.now();
    return this.#causes.some(
      (cause) =>
        cause.channel === channel &&
        cause.kind === kind &&
        cause.member === member &&
        (cause.data === undefined || data === undefined || cause.data === data) &&
        cause.from <= now &&
        now <= cause.to,
    );
  }

  /** Records that a connection has ended that certainly was present. */
  lost(channel: string, member: string, loss: Loss): void {
    this.#losses.set(`${channel} ${member}`, loss);
  }

  /** Records that a member may have had a connection until now. */
  notePossible(channel: string, member: string): void {
    this.#lastPossible.set(`${channel} ${member}`, this.#service.now());
  }

  /** Records that these clients' object has crashed while nothing was left to do: their members may stay. */
  strand(clients: Witness[]): void {
    for (const client of clients) {
      for (const channel of MEMBER_CHANNELS) {
        for (const member of client.possible(channel)) this.#stranded.add(`${channel} ${member}`);
      }
    }
  }

  // --- judges of changes

  #judge(log: MembersLog, { position, change }: AnnouncedChange): void {
    const { channel } = log;
    const where = `${channel} at ${position}`;
    if (change.kind === "leave") this.#judgeLeave(channel, change.member, where);
    else {
      const { kind, member, data } = change;
      const isCaused = this.#isCaused(channel, "present", member, data);
      check(isCaused, () => `${where}: '${kind} ${member} ${data}' has no cause`);
    }
    const { size } = log.members;
    check(size <= this.rules.most, () => `${where}: there are ${size} members of at most ${this.rules.most}`);
  }

  #judgeLeave(channel: string, member: string, where: string): void {
    const connected = this.#clients.find((client) => client.certain(channel)?.member === member);
    check(!connected, () => `${where}: ${member} leaves, but ${connected?.name} is present`);
    if (this.#isCaused(channel, "leave", member)) return;
    const loss = this.#losses.get(`${channel} ${member}`);
    if (!loss) return;
    const age = this.#service.now() - loss.at;
    check(age >= this.rules.grace, () => `${where}: ${member} leaves ${age} ms after its last connection ended`);
    this.#service.cover(loss.isCrash ? "a member left after a crash" : "a member left after grace");
  }

  // --- judges of replies

  /** Checks that an accepted enter has been announced, and returns whether the member was away before. */
  checkEntered(client: Witness, channel: string, { member, data }: Member, issued: number, isRepeated: boolean): void {
    this.scan();
    if (!this.rules.isComplete || !client.isConnected) return;
    const log = this.log(channel);
    const found = log.members.get(member);
    const what = `${client.name} has entered ${channel} as ${member} ${data}`;
    check(found !== undefined, () => `${what}, but the members are ${show(log.members)}`);
    const isContested = this.#causes.some(
      (cause) =>
        cause.channel === channel &&
        cause.kind === "present" &&
        cause.member === member &&
        cause.data !== data &&
        cause.to >= issued,
    );
    check(found === data || isRepeated || isContested, () => `${what}, but its data is ${found}`);
    const others = this.#clients.filter((other) => other !== client && other.certain(channel)?.member === member);
    if (others.length > 0) this.#service.cover("a member with two connections");
    if (others.some(({ home }) => home !== client.home)) this.#service.cover("a member at two objects");
    const loss = this.#losses.get(`${channel} ${member}`);
    if (loss && others.length === 0 && !log.hasLeftSince(member, loss.at) && log.at(log.newest) && !isRepeated)
      this.#service.cover("entering again within grace");
  }

  /** Checks that a member has left whose client's command to leave was accepted. */
  checkLeft(client: Witness, channel: string, member: string): void {
    this.scan();
    if (!this.rules.isComplete || this.#mayOthersHold(client, channel, member)) return;
    const { members } = this.log(channel);
    check(!members.has(member), () => `${client.name} has left ${channel} as ${member}, who is still a member`);
  }

  /** Whether other connections may be present as a member, or their end may not have been reported yet. */
  #mayOthersHold(client: Witness, channel: string, member: string): boolean {
    return this.#clients.some((other) => other !== client && other.hasHeld(channel, member));
  }

  /** Checks that a channel was full when a command was refused. */
  checkFull(client: Witness, channel: string, member: string, issued: number): void {
    this.scan();
    if (!this.rules.isComplete) return;
    const log = this.log(channel);
    const most = log.mostSince(issued);
    check(most >= this.rules.most, () => `${client.name} is refused by ${channel}, which had ${most} members`);
    const wasMember =
      log.members.has(member) && !log.all.some(({ at, change }) => at >= issued && change.member === member);
    check(!wasMember, () => `${client.name} is refused by ${channel} as ${member}, who is a member`);
    this.#service.cover("a member refused");
  }

  /**
   * Checks a list of members.
   * @param after the position that the list must not precede
   */
  checkList(channel: string, position: number, list: Member[], after: number, what: string): void {
    this.scan();
    const names = list.map(({ member }) => member);
    const sorted = [...new Set(names)].sort();
    check(names.join() === sorted.join(), () => `${what} lists ${names} of ${channel}`);
    this.log(channel).checkList(position, list, `${what} of ${channel} at ${position}`);
    if (!this.rules.isComplete) return;
    check(position >= after, () => `${what} of ${channel} is of ${position}, but was requested after ${after}`);
  }

  // --- judges of quiet times

  /** Checks that each member has, or had until a while ago, a connection. */
  checkGhosts(): void {
    this.scan();
    if (!this.rules.isComplete) return;
    for (const { channel, members } of this.#logs) {
      for (const member of members.keys()) this.#checkGhost(channel, member);
    }
  }

  #checkGhost(channel: string, member: string): void {
    if (this.#clients.some((client) => client.possible(channel).has(member))) return;
    const age = this.#service.now() - (this.#lastPossible.get(`${channel} ${member}`) ?? 0);
    const isInTime = age <= this.rules.grace + PROMPT;
    check(isInTime, () => `${member} stays in ${channel} ${age} ms after its connection ended`);
  }

  /** Returns the members of a channel by all clients' replies, each with the data that it may have. */
  expected(channel: string): Map<string, Set<string>> {
    const expected = new Map<string, Set<string>>();
    for (const client of this.#clients) {
      const certain = client.certain(channel);
      if (certain) expected.set(certain.member, this.#dataOf(channel, certain.member));
    }
    return expected;
  }

  /** The data that a member may have in the end: that of commands which no other certainly follows. */
  #dataOf(channel: string, member: string): Set<string> {
    const entered = this.#clients.flatMap((client) => client.history(channel, member));
    const accepted = entered.filter(({ done, isRefused }) => !isRefused && done !== undefined);
    const latest = Math.max(0, ...accepted.map(({ issued, isRepeated }) => (isRepeated ? 0 : issued)));
    // What is undone restores earlier data.
    const isUncertain = this.#clients.some((client) => client.isUncertain(channel, member));
    const isNewest = ({ done = Number.POSITIVE_INFINITY }) => isUncertain || done >= latest;
    return new Set(entered.filter((each) => !each.isRefused && isNewest(each)).map(({ data }) => data));
  }

  /**
   * Checks that the members of a channel are those of the open connections.
   * @param mayStay whether those may be members, too, whose object crashed with nothing left to do
   */
  checkMembers(channel: string, members: Members, mayStay: boolean, what: string): void {
    const expected = this.expected(channel);
    for (const [member, data] of expected) {
      const found = members.get(member);
      check(found !== undefined, () => `${what} of ${channel}: ${member} isn't a member, but is connected`);
      check(data.has(found), () => `${what} of ${channel}: ${member} has the data '${found}', not ${[...data]}`);
    }
    for (const member of members.keys()) {
      if (expected.has(member) || this.#clients.some((client) => client.possible(channel).has(member))) continue;
      const isStranded = mayStay && this.#stranded.has(`${channel} ${member}`);
      check(isStranded, () => `${what} of ${channel}: ${member} is a member without a connection`);
      this.#service.cover("a member stranded");
    }
  }
}
