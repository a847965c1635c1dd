/** Calls between simulated objects, with their depth and their outcome. */
import type { Calls } from "../../src/runtime/calls.ts";
import { parentOf } from "../../src/runtime/object-names.ts";
import type { Stub } from "../../src/runtime/runtime.ts";
import { copy } from "./copy.ts";
import { Network } from "./network.ts";
import { type Environment, type Incarnation, leave, properties, type SimulatedObject } from "./object.ts";
import { RuleViolation } from "./platform-rules.ts";

/** A call from one object to another. */
interface Call<Kind extends keyof Calls> {
  to: string;
  /** The hop count that its caller claims. */
  claimed: number;
  kind: Kind;
  ask: Calls[Kind]["request"];
}

/** The objects, as calls see them. */
export interface ObjectAccess {
  of(name: string): SimulatedObject;
  /** The object as it is in memory; it is woken if needed. */
  inMemory(object: SimulatedObject): Incarnation;
  /** Whether an object blocks its input. */
  isHolding(name: string): boolean;
  /** Reports a violated platform rule. */
  breaks(rule: RuleViolation): void;
}

export class ObjectCalls {
  readonly network: Network;
  /** The newest claim of connections that was carried out, by object, and the objects whose last one was an older one. */
  readonly #claims = new Map<string, number>();
  readonly staleClaims = new Set<string>();
  readonly #environment: Environment;
  readonly #objects: ObjectAccess;

  constructor(environment: Environment, objects: ObjectAccess) {
    this.network = new Network({
      now: () => environment.now(),
      cover: (goal) => environment.cover(goal),
      maxInFlight: environment.isStrict ? 1 + environment.choose(6) : Number.POSITIVE_INFINITY,
      isHolding: (name) => objects.isHolding(name),
      timesOut: environment.withFaults,
    });
    this.#environment = environment;
    this.#objects = objects;
  }

  /** Opens a stub for another object; its depth is set by the first call. */
  open(object: SimulatedObject, incarnation: Incarnation, to: string): Stub {
    let depth: number | undefined;
    let crashes: number | undefined;
    return {
      call: async (kind, ask, claimed) => {
        depth ??= incarnation.depth.now;
        if (crashes === undefined) incarnation.depth.open(to);
        crashes ??= this.#objects.of(to).crashes;
        if (crashes !== this.#objects.of(to).crashes) throw new Error("the other object has crashed");
        if (claimed > 5) this.#environment.cover("a deep call");
        this.#checkDepth(incarnation, depth, claimed);
        return await this.#call(object, incarnation, { to, claimed, kind, ask });
      },
    };
  }

  /** Makes a call as a Worker does: with the hop count of an upgrade. */
  callFromWorker<Kind extends keyof Calls>(to: string, kind: Kind, ask: Calls[Kind]["request"]) {
    const asked = { to, claimed: 2, kind, ask: copy(ask) };
    return this.network.call<Calls[Kind]["answer"]>(
      `a Worker -> ${to}: ${kind} ${JSON.stringify(ask)}`,
      { from: "a Worker", to, isNested: false },
      () => this.#answer(asked),
      () => false,
    );
  }

  #checkDepth({ depth }: Incarnation, deep: number, claimed: number): void {
    try {
      depth.call(deep, claimed);
    } catch (error) {
      if (!(error instanceof RuleViolation)) throw error;
      this.#objects.breaks(error);
    }
  }

  async #call<Kind extends keyof Calls>(
    from: SimulatedObject,
    incarnation: Incarnation,
    call: Call<Kind>,
  ): Promise<Calls[Kind]["answer"]> {
    const { to, kind, ask } = call;
    const asked = { ...call, ask: copy(ask) };
    if (kind === "present") this.#beginReport(incarnation, to);
    const label = `${from.name} -> ${to}: ${kind} ${JSON.stringify(ask) ?? ""}`;
    await new Promise<void>((resolve) => leave(incarnation, resolve));
    const answer = await this.network
      .call<Calls[Kind]["answer"]>(
        label,
        { from: from.name, to, isNested: kind === "link" },
        () => this.#answer(asked),
        () => incarnation.over,
      )
      .finally(() => kind === "present" && incarnation.reporting.delete(to));
    const { after } = properties(answer);
    const { epoch } = properties(ask);
    // Answers can overtake each other, so an older epoch may come last.
    const newest = Math.max(from.linked.get(to) ?? 0, Number(epoch));
    if (kind === "link" && after !== undefined) from.linked.set(to, newest);
    this.#noteGoals(from.name, kind, ask, answer);
    if (kind === "present") this.#noteReport(properties(ask), properties(answer));
    this.#environment.observe({ from: from.name, to, kind, ask: asked.ask, answer });
    return answer;
  }

  async #answer<Kind extends keyof Calls>({ to, claimed, kind, ask }: Call<Kind>): Promise<Calls[Kind]["answer"]> {
    const incarnation = this.#objects.inMemory(this.#objects.of(to));
    const answered = incarnation.depth.beginToAnswer(claimed);
    if (kind === "claim") this.#noteClaim(properties(ask));
    try {
      return copy(await incarnation.broker.called(kind, ask, claimed));
    } finally {
      answered();
      await new Promise<void>((resolve) => leave(incarnation, resolve));
    }
  }

  /** A root of `all` that has crashed since can't know that a claim is older than one that it has answered. */
  #noteClaim({ from, number }: Record<string, unknown>): void {
    const newest = this.#claims.get(String(from)) ?? 0;
    this.#claims.set(String(from), Math.max(newest, Number(number)));
    if (Number(number) < newest) this.staleClaims.add(String(from));
    else this.staleClaims.delete(String(from));
  }

  /** Objects report the members of a channel one call at a time. */
  #beginReport({ reporting }: Incarnation, to: string): void {
    if (reporting.has(to)) this.#objects.breaks(new RuleViolation(`two reports of members to ${to} are in flight`));
    reporting.add(to);
  }

  #noteReport({ number, present, gone }: Record<string, unknown>, answer: Record<string, unknown>): void {
    const { cover } = this.#environment;
    if ("newer" in answer) cover("a late report");
    else if ("behind" in answer) cover("a report out of step");
    else if ("full" in answer) cover("changes of members refused");
    const changes = [present, gone].flat().map((each) => Number(properties(each).change));
    if (changes.some((change) => change > 1 && change < Number(number))) cover("a report repeated");
  }

  #noteGoals(from: string, name: keyof Calls, ask: unknown, answer: unknown): void {
    if (name === "restate") this.#environment.cover("members asked for again");
    const { again, lost, still, wanted } = properties(ask);
    const { newer, instead, gone } = properties(answer);
    if (newer !== undefined) this.#environment.cover(still ? "a lapsed link" : "a newer epoch");
    if (instead !== undefined) this.#environment.cover("a redirect to a child");
    if (again && gone) this.#environment.cover("an unsure link gone");
    if (lost && parentOf(from) !== undefined) this.#environment.cover("a loss relayed");
    if (lost && parentOf(from) === undefined && !this.#environment.withFaults)
      this.#environment.cover("a link cut off");
    if (name === "claim" && answer !== wanted) this.#environment.cover("a claim refused");
  }
}
