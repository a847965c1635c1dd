/** Calls between simulated objects: how deep they are, and what comes of them. */
import type { Calls } from "../../src/runtime/calls.ts";
import { parentOf } from "../../src/runtime/object-names.ts";
import type { Stub } from "../../src/runtime/runtime.ts";
import { type Life, leave, properties, type Rules, type SimulatedObject } from "./life.ts";
import { Network } from "./network.ts";
import { Broken } from "./rules.ts";

/** A call on its way from one object to another one. */
interface Call<Kind extends keyof Calls> {
  to: string;
  /** How deep its caller says that it is. */
  told: number;
  kind: Kind;
  ask: Calls[Kind]["request"];
}

/** What calls need of the objects that they are between. */
export interface Ends {
  of(name: string): SimulatedObject;
  /** An object's life; it is brought into memory if it is not there. */
  alive(object: SimulatedObject): Life;
  /** Whether an object lets nothing come in for now. */
  isHolding(name: string): boolean;
  /** A rule of the platform is broken. */
  breaks(rule: Broken): void;
}

export class Calling {
  readonly network: Network;
  readonly #rules: Rules;
  readonly #ends: Ends;

  constructor(rules: Rules, ends: Ends) {
    this.network = new Network({
      now: () => rules.now(),
      meet: (rarity) => rules.meet(rarity),
      mostUnderWay: rules.isStrict ? 1 + rules.choose(6) : Number.POSITIVE_INFINITY,
      isHolding: (name) => ends.isHolding(name),
      timesOut: rules.withFaults,
    });
    this.#rules = rules;
    this.#ends = ends;
  }

  /** A way to another object; as deep as this one is when that is first used. */
  open(object: SimulatedObject, life: Life, to: string): Stub {
    let depth: number | undefined;
    let crashes: number | undefined;
    return {
      call: async (kind, ask, told) => {
        depth ??= life.depth.now;
        if (crashes === undefined) life.depth.open(to);
        crashes ??= this.#ends.of(to).crashes;
        if (crashes !== this.#ends.of(to).crashes) throw new Error("the far object has crashed");
        if (told > 5) this.#rules.meet("a deep call");
        this.#checkDepth(life, depth, told);
        return await this.#call(object, life, { to, told, kind, ask });
      },
    };
  }

  /** A call from a Worker, which is as deep as an upgrade that one hands on. */
  callFromWorker<Kind extends keyof Calls>(to: string, kind: Kind, ask: Calls[Kind]["request"]) {
    const asked = { to, told: 2, kind, ask: structuredClone(ask) };
    return this.network.call<Calls[Kind]["answer"]>(
      `a Worker -> ${to}: ${kind} ${JSON.stringify(ask)}`,
      { from: "a Worker", to, isNested: false },
      () => this.#answer(asked),
      () => false,
    );
  }

  #checkDepth({ depth }: Life, deep: number, told: number): void {
    try {
      depth.call(deep, told);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.#ends.breaks(error);
    }
  }

  async #call<Kind extends keyof Calls>(
    from: SimulatedObject,
    life: Life,
    call: Call<Kind>,
  ): Promise<Calls[Kind]["answer"]> {
    const { to, kind, ask } = call;
    const asked = { ...call, ask: structuredClone(ask) };
    const label = `${from.name} -> ${to}: ${kind} ${JSON.stringify(ask) ?? ""}`;
    await new Promise<void>((resolve) => leave(life, resolve));
    const answer = await this.network.call<Calls[Kind]["answer"]>(
      label,
      { from: from.name, to, isNested: kind === "link" },
      () => this.#answer(asked),
      () => life.over,
    );
    const { after } = properties(answer);
    const { epoch } = properties(ask);
    // The answer to an older request may come last.
    const newest = Math.max(from.linked.get(to) ?? 0, Number(epoch));
    if (kind === "link" && after !== undefined) from.linked.set(to, newest);
    this.#noteRarities(from.name, kind, ask, answer);
    this.#rules.overheard({ from: from.name, to, kind, ask: asked.ask, answer });
    return answer;
  }

  async #answer<Kind extends keyof Calls>({
    to,
    told,
    kind,
    ask,
  }: Call<Kind>): Promise<Calls[Kind]["answer"]> {
    const life = this.#ends.alive(this.#ends.of(to));
    const answered = life.depth.beginToAnswer(told);
    try {
      return structuredClone(await life.broker.called(kind, ask, told));
    } finally {
      answered();
      await new Promise<void>((resolve) => leave(life, resolve));
    }
  }

  #noteRarities(from: string, name: keyof Calls, ask: unknown, answer: unknown): void {
    const { again, lost, still, wanted } = properties(ask);
    const { newer, instead, gone } = properties(answer);
    if (newer !== undefined) this.#rules.meet(still ? "not linked any more" : "newer");
    if (instead !== undefined) this.#rules.meet("instead");
    if (again && gone) this.#rules.meet("gone while unsure");
    if (lost && parentOf(from) !== undefined) this.#rules.meet("a loss relayed");
    if (lost && parentOf(from) === undefined && !this.#rules.withFaults) this.#rules.meet("a link cut off");
    if (name === "claim" && answer !== wanted) this.#rules.meet("a claim refused");
  }
}
