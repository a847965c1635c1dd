/** The Durable Object that runs the experiments for `questions/`. */
import { DurableObject } from "cloudflare:workers";
import { type Facts, readFacts, textIn } from "../facts.ts";
import { Alarms } from "./alarms.ts";
import { Calls } from "./calls.ts";
import { chain } from "./chain.ts";
import { textOf } from "./errors.ts";
import { abort, block, exhaust, fail, failRetryable, provoke } from "./failures.ts";
import type { Askable, Env, Experiment, Host } from "./host.ts";
import { Later } from "./later.ts";
import { broadcast, buffered, flood, held } from "./sockets.ts";
import { syncs } from "./storage.ts";
import { ReusedStub } from "./stub.ts";

export class Probe extends DurableObject<Env> implements Askable {
  readonly #alarms: Alarms;
  readonly #experiments: Map<string, Experiment>;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    const { name } = context.id;
    if (name === undefined) throw new Error("the probe's objects must be reached by name");
    const host: Host = { name, context, peer: (other) => env.PROBE.getByName(other) };
    const incarnation = crypto.randomUUID();
    this.#alarms = new Alarms(host, incarnation);
    const identity = { incarnation, version: env.VERSION ?? "" };
    this.#experiments = experimentsOf(host, this.#alarms, identity);
  }

  /** Accepts a WebSocket, or runs an experiment. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("Upgrade") !== "websocket") {
      return Response.json(await this.#run(await request.text()));
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): Promise<void> {
    const facts = await this.#run(String(frame)).catch((error) => ({ failure: textOf(error) }));
    socket.send(`${JSON.stringify(facts)}\n`);
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }

  override alarm(info?: AlarmInvocationInfo): Promise<void> {
    return this.#alarms.ran(info);
  }

  /** Handles a call from another object. */
  async ask(experiment: string, ask: Facts): Promise<Facts> {
    const run = this.#experiments.get(experiment);
    if (run === undefined) throw new Error(`there is no experiment ${experiment}`);
    return await run(ask);
  }

  #run(text: string): Promise<Facts> {
    const ask = readFacts(text);
    return this.ask(textIn(ask, "experiment"), ask);
  }
}

/** @param identity the answer of the experiment `identity` */
function experimentsOf(host: Host, alarms: Alarms, identity: Facts): Map<string, Experiment> {
  const later = new Later(host);
  const stub = new ReusedStub(host);
  const calls = new Calls(host);
  return new Map<string, Experiment>([
    ["nothing", () => ({})],
    ["identity", () => identity],
    ["chain", (ask) => chain(host, ask)],
    ["arm", (ask) => later.arm(ask)],
    ["collect", () => later.collect()],
    ["create stub", (ask) => stub.create(ask)],
    ["use stub", (ask) => stub.use(ask)],
    ["bounce", (ask) => stub.bounce(ask)],
    ["linger", (ask) => calls.linger(ask)],
    ["at once", (ask) => calls.atOnce(ask)],
    ["many", (ask) => calls.many(ask)],
    ["queue", (ask) => calls.queue(ask)],
    ["syncs", (ask) => syncs(host, ask)],
    ["flood", (ask) => flood(host, ask)],
    ["held", () => held(host)],
    ["buffered", () => buffered(host)],
    ["broadcast", (ask) => broadcast(host, ask)],
    ["chain at alarm", (ask) => alarms.chainAtAlarm(ask)],
    ["set alarm", (ask) => alarms.setAlarm(ask)],
    ["provoke", (ask) => provoke(host, ask)],
    ["fail", fail],
    ["fail retryable", failRetryable],
    ["abort", () => abort(host)],
    ["block", block],
    ["exhaust", exhaust],
  ]);
}
