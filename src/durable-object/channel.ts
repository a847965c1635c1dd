/**
 * The Durable Object, the only class there is. The one named `c` is the root of channel `c`: it
 * orders the channel's messages and sends them to its own sockets and to the objects linked to it. It
 * is also where the sockets connected at `/c` are, and links to other roots on their behalf.
 *
 * This file hands the runtime's events on to `object/broker.ts`, which does the work.
 */
import { DurableObject } from "cloudflare:workers";
import { grantsFault } from "../auth/grants.ts";
import { Broker } from "../object/broker.ts";
import { NO_CODE, PROTOCOL_ERROR, TRY_AGAIN } from "../protocol/close-codes.ts";
import { formatCommand } from "../protocol/commands.ts";
import { formatReason } from "../protocol/errors.ts";
import { ALIVE } from "../protocol/replies.ts";
import type { Calls } from "../runtime/calls.ts";
import { SettingError } from "../runtime/limits.ts";
import { WRONG_SETTINGS } from "../worker/deployment.ts";
import type { Callable, Env } from "../worker/env.ts";
import { formatElsewhere, formatRefused, formatTaken, parseUpgrade } from "../worker/upgrade.ts";
import { type Configuration, configure } from "./configuration.ts";
import { type ObjectRuntime, runtimeOf } from "./runtime.ts";

/** What the runtime itself answers, also for an object that sleeps, and does not wake it for. */
const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

/** How long an object whose settings are wrong puts its alarm off, in milliseconds. */
const LOOKS_AGAIN_AFTER = 60_000;

const REFUSED = "the settings of the server are changing; connect again";

export class Channel extends DurableObject<Env> implements Callable {
  /** The sockets that hibernated with this object. */
  readonly #slept: WebSocket[];
  /** The configuration, or what is wrong with it; undefined until it is read. */
  #configuration: Configuration | SettingError | undefined;
  /** Undefined until the first event of this life. */
  #alive: { broker: Broker; runtime: ObjectRuntime } | undefined;
  /** When the alarm that an earlier life has set is to go off; it tells whether that life crashed. */
  #alarmTime: number | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#slept = context.getWebSockets();
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(KEEPALIVE, ALIVE));
    void context.blockConcurrencyWhile(async () => {
      this.#configuration = await configure(env, context.storage);
      this.#alarmTime = (await context.storage.getAlarm()) ?? undefined;
    });
  }

  get #broker(): Broker {
    return this.#wake().broker;
  }

  /** @throws Error that the Worker understands as a SettingError */
  get #configured(): Configuration {
    const configuration = this.#configuration;
    if (configuration && !(configuration instanceof SettingError)) return configuration;
    this.#closeAll();
    throw new Error(this.#fault);
  }

  /** What is wrong with the configuration; undefined if nothing is. */
  get #fault(): string | undefined {
    const configuration = this.#configuration;
    return configuration instanceof SettingError ? `${WRONG_SETTINGS}${configuration.message}` : undefined;
  }

  /** Closes all connections: nothing reaches them while the configuration is wrong. */
  #closeAll(): void {
    const reason = formatReason({ code: "unavailable", why: `${this.#fault}` });
    for (const socket of this.#slept.splice(0)) {
      socket.serializeAttachment(null);
      socket.close(TRY_AGAIN, reason);
    }
  }

  #wake() {
    if (this.#alive) return this.#alive;
    const { limits, guard, bindings } = this.#configured;
    const runtime = runtimeOf(this.ctx, bindings, this.#alarmTime);
    const sockets = {
      acceptWebSocket: (socket: WebSocket) => this.ctx.acceptWebSocket(socket),
      getWebSockets: () => this.#slept,
    };
    this.#alive = { runtime, broker: new Broker(runtime, sockets, limits, guard).start() };
    return this.#alive;
  }

  /** An upgrade that the Worker has sent here; without room it is answered with where to go. */
  override fetch(request: Request): Response {
    const { region, full, below, grants, from, subprotocol } = parseUpgrade(request.headers);
    // During a deploy, the Worker and the object may have different settings. The client gets in when both agree.
    if (grantsFault(grants, this.#configured.guard?.keys)) {
      return formatRefused({ code: "unavailable", why: REFUSED });
    }
    const elsewhere = this.#broker.placementFor(region, full, below);
    if (elsewhere !== undefined) return formatElsewhere(elsewhere);
    const { 0: client, 1: server } = new WebSocketPair();
    this.#broker.opened(server, region, grants, from);
    return formatTaken(client, subprotocol);
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    if (this.#fault === undefined) this.#broker.received(socket, frame);
    else this.#closeAll();
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#closed(socket);
    try {
      if (code === NO_CODE) socket.close();
      else socket.close(code, reason);
    } catch {
      // Nor is 1006 for sending, of a connection that broke off, nor are codes that there are not.
      socket.close(PROTOCOL_ERROR);
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#closed(socket);
  }

  /** One that has just been closed is among those that slept no more, but still has what was kept with it. */
  #closed(socket: WebSocket): void {
    if (this.#fault !== undefined) return;
    if (!this.#alive && !this.#slept.includes(socket)) this.#slept.push(socket);
    this.#broker.closed(socket);
  }

  /** What it was set for is not known from storage any more. */
  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    // Its work remains to be done when the settings are corrected.
    if (this.#fault !== undefined) {
      this.#closeAll();
      return this.ctx.storage.setAlarm(Date.now() + LOOKS_AGAIN_AFTER);
    }
    this.#alarmTime = info?.scheduledTime ?? this.#alarmTime;
    const { broker, runtime } = this.#wake();
    runtime.forgetAlarm();
    broker.alarmed();
  }

  /**
   * Answers a call from another object, or from a Worker.
   * @param hop how many hops deep this object is then
   */
  call<Kind extends keyof Calls>(
    kind: Kind,
    ask: Calls[Kind]["request"],
    hop: number,
  ): Promise<Calls[Kind]["answer"]> {
    return this.#broker.called(kind, ask, hop);
  }
}
