/**
 * The Durable Object class. The object named `c` is the root of channel `c`: it orders the channel's messages and
 * delivers them to its own sockets and to linked objects. It also holds the sockets that connected at `/c`, and links
 * to the roots of the other channels that they subscribe to.
 *
 * This class forwards the runtime's events to `object/broker.ts`.
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
import { formatAccepted, formatRedirect, formatRefused, parseUpgrade } from "../worker/upgrade.ts";
import { type Configuration, configure } from "./configuration.ts";
import { type ObjectRuntime, runtimeOf } from "./runtime.ts";

/** The line that the runtime answers without waking the object. */
const KEEPALIVE = `${formatCommand({ kind: "keepalive" })}\n`;

/** Time after which an object whose settings are wrong tries its alarm again, in milliseconds. */
const RETRY_ALARM_AFTER = 60_000;

const REFUSED = "the settings of the server are changing; connect again";

export class Channel extends DurableObject<Env> implements Callable {
  /** The sockets that hibernated with this object. */
  readonly #hibernated: WebSocket[];
  /** The configuration; undefined until it is read, and if it has a fault. */
  #configuration: Configuration | undefined;
  /** The error in the configuration; undefined if it is valid. */
  #fault: string | undefined;
  /** Undefined until the first event after a start. */
  #awake: { broker: Broker; runtime: ObjectRuntime } | undefined;
  /** The time of an alarm that was set before this start; it shows whether the object crashed. */
  #alarmTime: number | undefined;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#hibernated = context.getWebSockets();
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(KEEPALIVE, ALIVE));
    void context.blockConcurrencyWhile(async () => {
      const configuration = await configure(env, context.storage);
      if (configuration instanceof SettingError) this.#fault = `${WRONG_SETTINGS}${configuration.message}`;
      else this.#configuration = configuration;
      this.#alarmTime = (await context.storage.getAlarm()) ?? undefined;
    });
  }

  get #broker(): Broker {
    return this.#wake().broker;
  }

  /** @throws Error that the Worker understands as a SettingError */
  get #configured(): Configuration {
    if (this.#configuration) return this.#configuration;
    this.#closeAll();
    throw new Error(this.#fault);
  }

  /** Closes all connections, because the object can't serve them while the configuration is wrong. */
  #closeAll(): void {
    const why = `${this.#fault}`;
    const reason = formatReason({ code: "unavailable", why });
    const sockets = this.#hibernated.splice(0);
    if (sockets.length > 0) {
      const line = { event: "failures.settings", times: sockets.length, kind: "settings", code: "unavailable", why };
      console.warn(JSON.stringify({ ...line, object: this.ctx.id.name }));
    }
    for (const socket of sockets) {
      socket.serializeAttachment(null);
      socket.close(TRY_AGAIN, reason);
    }
  }

  #wake() {
    if (this.#awake) return this.#awake;
    const { limits, guard, bindings } = this.#configured;
    const runtime = runtimeOf(this.ctx, bindings, this.#alarmTime);
    const sockets = {
      acceptWebSocket: (socket: WebSocket) => this.ctx.acceptWebSocket(socket),
      getWebSockets: () => this.#hibernated,
    };
    this.#awake = { runtime, broker: new Broker(runtime, sockets, limits, guard).start() };
    return this.#awake;
  }

  /** Accepts an upgrade from the Worker, or redirects it if the object is full. */
  override fetch(request: Request): Response {
    const { region, full, below, grants, from, subprotocol } = parseUpgrade(request.headers);
    // During a deploy, the Worker and the object may have different settings. Clients connect once both agree.
    if (grantsFault(grants, this.#configured.guard?.keys)) {
      return formatRefused({ code: "unavailable", why: REFUSED });
    }
    const redirect = this.#broker.placementFor(region, full, below);
    if (redirect !== undefined) return formatRedirect(redirect);
    const { 0: client, 1: server } = new WebSocketPair();
    this.#broker.opened(server, region, grants, from);
    return formatAccepted(client, subprotocol);
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
      // The runtime rejects 1006, which means a broken connection, and undefined codes.
      socket.close(PROTOCOL_ERROR);
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#closed(socket);
  }

  /** The runtime no longer lists a socket that has just closed, but its attachment is still readable. */
  #closed(socket: WebSocket): void {
    if (this.#fault !== undefined) return;
    if (!this.#awake && !this.#hibernated.includes(socket)) this.#hibernated.push(socket);
    this.#broker.closed(socket);
  }

  /** Storage has already deleted the alarm; `info` has its time. */
  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    // Keep the alarm for when the settings are corrected.
    if (this.#fault !== undefined) {
      this.#closeAll();
      return this.ctx.storage.setAlarm(Date.now() + RETRY_ALARM_AFTER);
    }
    this.#alarmTime = info?.scheduledTime ?? this.#alarmTime;
    const { broker, runtime } = this.#wake();
    runtime.forgetAlarm();
    broker.alarmed();
  }

  /**
   * Answers a call from another object, or from a Worker.
   * @param hop the depth of this object in the chain of calls
   */
  call<Kind extends keyof Calls>(kind: Kind, ask: Calls[Kind]["request"], hop: number): Promise<Calls[Kind]["answer"]> {
    return this.#broker.called(kind, ask, hop);
  }
}
