/** A roster of the simulated program; checks every change that it reports. */
import type { MemberChange, Members } from "../../../src/client/types.ts";
import type { MemberChange as ServerChange } from "../../../src/protocol/members.ts";
import { Breach } from "./environment.ts";
import type { Server } from "./server.ts";

export class Watcher {
  readonly name: string;
  readonly channel: string;
  readonly roster: Members;
  readonly #server: Server;
  /** The members according to the changes. */
  readonly #members = new Map<string, string>();
  readonly #changes: MemberChange[] = [];
  /** The number of changes before the first list was complete. */
  #first: number | undefined;
  error: Error | undefined;
  isEnded = false;
  /** Whether its loop has ended. */
  isLoopOver = false;

  /** @param guard runs a callback, and keeps its error */
  constructor(name: string, roster: Members, server: Server, guard: (act: () => void) => void) {
    this.name = name;
    this.channel = roster.channel;
    this.roster = roster;
    this.#server = server;
    for (const kind of ["added", "updated", "removed"] as const) {
      roster.on(kind, (change) => guard(() => this.#receive(kind, change)));
    }
    roster.on("state", ({ state, error }) =>
      guard(() => {
        if (this.isEnded) throw this.#breach(`is ${state} after its end`);
        if (state === "unsubscribed") this.isEnded = true;
        this.error = error;
      }),
    );
    roster.ready.then(
      () => {
        this.#first ??= this.#changes.length;
      },
      (error) => guard(() => this.#checkError(error)),
    );
    void this.#iterate(guard);
  }

  get changes(): number {
    return this.#changes.length;
  }

  #checkError(error: unknown): void {
    if (error !== this.error) throw this.#breach(`fails with ${error}, not ${this.error}`);
  }

  /** Checks that a loop sees the same changes. */
  async #iterate(guard: (act: () => void) => void): Promise<void> {
    let count = 0;
    try {
      for await (const change of this.roster) {
        if (change !== this.#changes[count]) guard(() => this.#fail(`iterates over ${change.kind} ${change.member}`));
        count += 1;
      }
    } catch (error) {
      guard(() => this.#checkError(error));
    }
    this.isLoopOver = true;
    guard(() => {
      if (!this.isEnded) this.#fail("ends its loop too early");
      if (count !== this.#changes.length) this.#fail(`iterates over ${count} changes of ${this.#changes.length}`);
    });
  }

  #receive(kind: string, change: MemberChange): void {
    const { channel, member, data } = change;
    const before = this.#members.get(member);
    const isValid = { added: before === undefined, updated: before !== data, removed: before === data };
    const isKnown = kind === "added" || before !== undefined;
    if (this.isEnded || channel !== this.channel || kind !== change.kind || !isValid[change.kind] || !isKnown) {
      throw this.#breach(`gets ${kind} ${member} '${data}', which has '${before}'`);
    }
    this.#changes.push(change);
    if (kind === "removed") this.#members.delete(member);
    else this.#members.set(member, data);
  }

  /** Checks, when everything has settled, that it has the truth. */
  check(): void {
    if (this.isEnded !== this.isLoopOver) this.#fail("has a loop that doesn't end");
    this.#checkHistory();
    if (this.isEnded) return;
    if (this.roster.state !== "subscribed") this.#fail(`is ${this.roster.state}`);
    const truth = new Map([...this.#server.membersOf(this.channel)].map(([member, { data }]) => [member, data]));
    const shown = show(truth);
    if (show(this.roster.current) !== shown) this.#fail(`has ${show(this.roster.current)}, not ${shown}`);
    if (show(this.#members) !== shown) this.#fail(`has reported ${show(this.#members)}, not ${shown}`);
  }

  /** Checks that the changes of each member are among the server's, in their order. */
  #checkHistory(): void {
    const history = this.#server.changes.get(this.channel) ?? [];
    const next = new Map<string, number>();
    for (const { kind, member, data } of this.#changes) {
      const state = kind === "removed" ? undefined : data;
      const from = next.get(member) ?? 0;
      const at = history.findIndex((change, i) => i >= from && change.member === member && stateIn(change) === state);
      if (at < 0) this.#fail(`gets ${kind} ${member} '${data}', which the server hasn't announced then`);
      next.set(member, at + 1);
    }
    // Another list may skip changes.
    const [listedAt, another] = this.#server.lists.get(this.channel) ?? [];
    if (this.isEnded || another !== undefined || this.#first === undefined) return;
    const reported = this.#changes.slice(this.#first).map(({ member }) => member);
    const announced = history.slice(listedAt).map(({ member }) => member);
    if (String(reported) !== String(announced)) this.#fail(`reports changes of ${reported}, not ${announced}`);
  }

  #fail(what: string): never {
    throw this.#breach(what);
  }

  #breach(what: string): Breach {
    return new Breach(`${this.name} of ${this.channel} ${what}`);
  }
}

function stateIn(change: ServerChange): string | undefined {
  return change.kind === "leave" ? undefined : change.data;
}

function show(members: ReadonlyMap<string, string>): string {
  return [...members].sort().join("; ");
}
