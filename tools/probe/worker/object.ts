/** The Durable Object, which carries out experiments: `questions/` says what for. */
import { DurableObject } from "cloudflare:workers";
import { type Facts, readFacts, textIn } from "../facts.ts";
import { Alarms } from "./alarms.ts";
import { Calls } from "./calls.ts";
import { textOf } from "./errors.ts";
import { abort, block, exhaust, fail, failRetryable, provoke } from "./failures.ts";
import { Kept } from "./kept.ts";
import { Later } from "./later.ts";
import { line } from "./line.ts";
import type { Askable, Env, Experiment, Self } from "./self.ts";
import { buffered, flood, held, tell } from "./sockets.ts";
import { syncs } from "./storage.ts";

export class Probe extends DurableObject<Env> implements Askable {
  readonly #alarms: Alarms;
  readonly #experiments: Map<string, Experiment>;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    const { name } = context.id;
    if (name === undefined) throw new Error("the probe's objects are only ever reached by their names");
    const self: Self = { name, context, peer: (other) => env.PROBE.getByName(other) };
    const life = crypto.randomUUID();
    this.#alarms = new Alarms(self, life);
    const told = { life, version: env.VERSION ?? "" };
    this.#experiments = experimentsOf(self, this.#alarms, told);
  }

  /** A WebSocket, or an experiment. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("Upgrade") !== "websocket") {
      return Response.json(await this.#carryOut(await request.text()));
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): Promise<void> {
    const facts = await this.#carryOut(String(frame)).catch((error) => ({ failure: textOf(error) }));
    socket.send(`${JSON.stringify(facts)}\n`);
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }

  override alarm(info?: AlarmInvocationInfo): Promise<void> {
    return this.#alarms.ran(info);
  }

  /** A call from another object. */
  async ask(experiment: string, ask: Facts): Promise<Facts> {
    const carryOut = this.#experiments.get(experiment);
    if (carryOut === undefined) throw new Error(`no experiment is called ${experiment}`);
    return await carryOut(ask);
  }

  #carryOut(text: string): Promise<Facts> {
    const ask = readFacts(text);
    return this.ask(textIn(ask, "experiment"), ask);
  }
}

/** @param told what `life` tells of this life of the object */
function experimentsOf(self: Self, alarms: Alarms, told: Facts): Map<string, Experiment> {
  const later = new Later(self);
  const kept = new Kept(self);
  const calls = new Calls(self);
  return new Map<string, Experiment>([
    ["nothing", () => ({})],
    ["life", () => told],
    ["line", (ask) => line(self, ask)],
    ["arm", (ask) => later.arm(ask)],
    ["collect", () => later.collect()],
    ["keep", (ask) => kept.keep(ask)],
    ["use kept", (ask) => kept.useKept(ask)],
    ["bounce", (ask) => kept.bounce(ask)],
    ["linger", (ask) => calls.linger(ask)],
    ["at once", (ask) => calls.atOnce(ask)],
    ["many", (ask) => calls.many(ask)],
    ["queue", (ask) => calls.queue(ask)],
    ["syncs", (ask) => syncs(self, ask)],
    ["flood", (ask) => flood(self, ask)],
    ["held", () => held(self)],
    ["buffered", () => buffered(self)],
    ["tell", (ask) => tell(self, ask)],
    ["line at alarm", (ask) => alarms.lineAtAlarm(ask)],
    ["set alarm", (ask) => alarms.setAlarm(ask)],
    ["provoke", (ask) => provoke(self, ask)],
    ["fail", fail],
    ["fail retryable", failRetryable],
    ["abort", () => abort(self)],
    ["block", block],
    ["exhaust", exhaust],
  ]);
}
