/** As whom one client is present in which channels, by the commands that it has sent and the replies that it got. */
import type { ErrorCode } from "../../src/protocol/errors.ts";
import type { Member } from "../../src/runtime/calls.ts";
import { type Cause, type Entered, MEMBER_CHANNELS, type MembersTruth, type Witness } from "./members-truth.ts";
import { check } from "./violation.ts";

/** A command that changes as whom the client is present, until it has a reply. */
interface Pending {
  /** Undefined for all channels. */
  channel: string | undefined;
  /** Undefined if it ends the presence. */
  entered: Member | undefined;
  isRepeated: boolean;
  issued: number;
  /** What it allows the server to announce. */
  causes: Cause[];
  /** In the client's history. */
  record: Entered | undefined;
}

/** The client, as its presences see it. */
export interface PresentClient {
  readonly name: string;
  readonly home: string;
  /** Whether the connection is open at both ends. */
  readonly isConnected: boolean;
  readonly now: number;
  /** Whether the server must carry out every command. */
  readonly isReliable: boolean;
  /** Whether its grants may leave no room for a member. */
  readonly hasLongGrants: boolean;
}

export class Presences implements Witness {
  readonly #client: PresentClient;
  readonly #truth: MembersTruth;
  readonly #settled = new Map<string, Member>();
  readonly #pending: Pending[] = [];
  readonly #history: Entered[] = [];
  /** Channels and members that it may have been present as when its connection ended. */
  readonly #held = new Set<string>();
  /** Commands whose outcome the client doesn't know for sure: their changes may come late. */
  readonly #uncertain = new Set<string>();
  /** Channels where the server may not have been able to restore its presence after it refused a command. */
  readonly #doubtful = new Set<string>();
  #isLost = false;

  constructor(client: PresentClient, truth: MembersTruth) {
    this.#client = client;
    this.#truth = truth;
    truth.add(this);
  }

  get name(): string {
    return this.#client.name;
  }

  get home(): string {
    return this.#client.home;
  }

  get isConnected(): boolean {
    return this.#client.isConnected;
  }

  /** As whom the client is certainly present; undefined if it isn't, or may not be. */
  certain(channel: string): Member | undefined {
    return this.isConnected && !this.#isLost ? this.#certain(channel) : undefined;
  }

  #certain(channel: string): Member | undefined {
    const isPending = this.#pending.some((each) => (each.channel ?? channel) === channel);
    return isPending || this.#doubtful.has(channel) ? undefined : this.#settled.get(channel);
  }

  /** As whom the client was present after its last command with a reply. */
  settled(channel: string): Member | undefined {
    return this.#settled.get(channel);
  }

  /** As whom the client may be present. */
  possible(channel: string): Set<string> {
    return this.#isLost ? new Set() : this.#possible(channel);
  }

  #possible(channel: string): Set<string> {
    const members = this.#pending.flatMap((each) =>
      each.channel === channel && each.entered ? [each.entered.member] : [],
    );
    const settled = this.#settled.get(channel);
    return new Set(settled ? [settled.member, ...members] : members);
  }

  /** Whether the client is, or was at its end, perhaps present as a member, or may be so late. */
  hasHeld(channel: string, member: string): boolean {
    const name = `${channel} ${member}`;
    return this.#held.has(name) || this.#uncertain.has(name) || this.#possible(channel).has(member);
  }

  /** The commands to enter as a member. */
  history(channel: string, member: string): Entered[] {
    return this.#history.filter((each) => each.channel === channel && each.member === member);
  }

  /** Whether the client has entered, or is about to enter, with this data. */
  #hasEntered(channel: string, { member, data }: Member): boolean {
    const isSame = (other: Member | undefined) => other?.member === member && other.data === data;
    const isPending = this.#pending.some((each) => each.channel === channel && isSame(each.entered));
    return isPending || isSame(this.#settled.get(channel));
  }

  // --- commands

  enter(channel: string, entered: Member): void {
    const { now: issued } = this.#client;
    // A client that repeats itself changes nothing, even if others have changed the member's data since.
    const isRepeated = this.#hasEntered(channel, entered);
    const record = { channel, ...entered, issued, done: undefined, isRefused: false, isRepeated };
    const causes = [this.#truth.allow({ channel, kind: "present", ...entered })];
    for (const member of this.#possible(channel)) {
      if (member !== entered.member)
        causes.push(this.#truth.allow({ channel, kind: "leave", member, data: undefined }));
    }
    this.#history.push(record);
    this.#pending.push({ channel, entered, isRepeated, issued, causes, record });
  }

  leave(channel: string): void {
    this.#end([channel], channel);
  }

  /** Sends a token that doesn't allow to enter. */
  forgo(): void {
    this.#end(MEMBER_CHANNELS, undefined);
  }

  #end(channels: string[], channel: string | undefined): void {
    const causes = channels.flatMap((name) =>
      [...this.#possible(name)].map((member) =>
        this.#truth.allow({ channel: name, kind: "leave", member, data: undefined }),
      ),
    );
    const { now: issued } = this.#client;
    this.#pending.push({ channel, entered: undefined, isRepeated: false, issued, causes, record: undefined });
  }

  // --- replies

  /**
   * Handles the reply to the oldest command.
   * @param refusal the code of the error that it got, if any
   */
  answered(refusal: ErrorCode | undefined): void {
    const done = this.#pending.shift();
    check(done !== undefined, () => `${this.name} gets a reply to no command`);
    if (done.record) done.record.done = this.#client.now;
    if (refusal === undefined) this.#accepted(done);
    else this.#refused(done, refusal);
  }

  #accepted(pending: Pending): void {
    const { channel, entered, isRepeated, issued, causes } = pending;
    if (channel === undefined) {
      this.#renounced();
      return;
    }
    this.#settle(channel, entered);
    if (entered && !this.#doubtful.has(channel)) this.#truth.checkEntered(this, channel, entered, issued, isRepeated);
    if (!isRepeated) this.#doubtful.delete(channel);
    // What it has changed is announced before the reply.
    this.#close(causes);
  }

  /** The client's token allows it to enter no longer. No reply waits until that is announced. */
  #renounced(): void {
    for (const channel of MEMBER_CHANNELS) {
      this.#leftLater(channel, this.#settled.get(channel));
      this.#doubtful.delete(channel);
    }
  }

  #settle(channel: string, entered: Member | undefined): void {
    const before = this.#settled.get(channel);
    if (entered) this.#settled.set(channel, entered);
    else this.#settled.delete(channel);
    if (!before) return;
    this.#truth.notePossible(channel, before.member);
    if (!entered) this.#truth.checkLeft(this, channel, before.member);
    else if (before.member !== entered.member) this.#renamed(channel, before.member);
  }

  /** The new name is announced. That the old one leaves can be late if the root of the presence channel is unreachable. */
  #renamed(channel: string, old: string): void {
    if (this.#client.isReliable) this.#truth.checkLeft(this, channel, old);
    else this.#leavesLater(channel, old);
  }

  #leavesLater(channel: string, member: string): void {
    this.#truth.allow({ channel, kind: "leave", member, data: undefined });
    this.#uncertain.add(`${channel} ${member}`);
    this.#truth.notePossible(channel, member);
  }

  #refused({ channel = "", entered, issued, causes, record }: Pending, refusal: ErrorCode): void {
    if (record) record.isRefused = true;
    const before = this.#settled.get(channel);
    if (refusal === "unavailable") this.#undone(channel, before, entered);
    else if (refusal === "uncertain") this.#leftLater(channel, before);
    else this.#close(causes);
    // The error may have been meant for an earlier command: the server had to undo a later one, but the place was taken.
    if (refusal === "limit" && !this.#client.isReliable) this.#doubtful.add(channel);
    if (refusal === "limit" && entered && !this.#client.hasLongGrants)
      this.#truth.checkFull(this, channel, entered.member, issued);
  }

  /** The client has left, but that is announced later. */
  #leftLater(channel: string, before: Member | undefined): void {
    this.#settled.delete(channel);
    if (before) this.#leavesLater(channel, before.member);
  }

  /** Notes that the server couldn't restore the presence that a refused command had changed. */
  dropped(channel: string): void {
    this.#leftLater(channel, this.#settled.get(channel));
  }

  /** The server may have carried out a command that it has refused, and undoes that. */
  #undone(channel: string, before: Member | undefined, entered: Member | undefined): void {
    if (before) this.#truth.allow({ channel, kind: "present", member: before.member, data: undefined });
    // Another connection of the object may have the same name.
    if (entered) this.#truth.allow({ channel, kind: "present", member: entered.member, data: undefined });
    for (const member of [before?.member, entered?.member]) {
      if (member !== undefined) this.#leavesLater(channel, member);
    }
  }

  /** Whether the client's refused commands may still change a member's data. */
  isUncertain(channel: string, member: string): boolean {
    return this.#uncertain.has(`${channel} ${member}`);
  }

  #close(causes: Cause[]): void {
    for (const cause of causes) cause.to = this.#client.now;
  }

  /** Notes that the connection has ended, at that time. */
  lost(at: number, isCrash: boolean): void {
    for (const channel of MEMBER_CHANNELS) {
      const certain = this.#certain(channel);
      if (certain) this.#truth.lost(channel, certain.member, { at, isCrash });
      for (const member of this.#possible(channel)) {
        this.#truth.notePossible(channel, member);
        this.#held.add(`${channel} ${member}`);
      }
    }
    this.#isLost = true;
  }
}
