/**
 * The Durable Object, the only class there is. The one named `c` is the root of channel `c`: it
 * orders the channel's messages and sends them to its own sockets and to the objects linked to it. It
 * is also the home of the sockets connected at `/c`, and links to other roots on their behalf.
 *
 * This file hands the runtime's events on to `branch.ts`, which does the work.
 */
import { DurableObject } from "cloudflare:workers";
import { Branch } from "./branch.ts";
import type { ServiceFigures } from "./census.ts";
import { type Grants, isGrants } from "./grants.ts";
import type {
  Batch,
  BatchAnswer,
  Claim,
  Delivery,
  DeliveryAnswer,
  LinkAnswer,
  LinkRequest,
} from "./links.ts";
import { readSettings } from "./settings.ts";
import type { Figures } from "./stats.ts";
import type { Load } from "./tree.ts";
import type { Env } from "./worker.ts";
import { worldOf } from "./world.ts";

/** Headers between the Worker and an object; what is not a plain word in them is percent-encoded. */
export const REGION = "Fanout-Region";
/** What a connection's token grants, as JSON. */
export const GRANTS = "Fanout-Grants";
/** To a root: the child that turned out to be full. */
export const FULL = "Fanout-Full";
/** From an object without room: the child to go to, or empty from a child, whose root is to be asked. */
export const PLACE = "Fanout-Place";

export class Channel extends DurableObject<Env> {
  readonly #branch: Branch;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#branch = new Branch(worldOf(context, env), context, readSettings({ ...env }));
  }

  /** An upgrade that the Worker has sent here; without room it is answered with where to go. */
  override fetch(request: Request): Response {
    const region = request.headers.get(REGION) ?? "";
    const elsewhere = this.#branch.placeFor(region, decodeURIComponent(request.headers.get(FULL) ?? ""));
    if (elsewhere !== undefined)
      return new Response(null, { status: 503, headers: { [PLACE]: encodeURIComponent(elsewhere) } });
    const { 0: client, 1: server } = new WebSocketPair();
    this.#branch.opened(server, region, grantsIn(request.headers));
    const protocol = request.headers.get("Sec-WebSocket-Protocol");
    const headers = protocol === null ? {} : { "Sec-WebSocket-Protocol": protocol };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.#branch.received(socket, frame);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#branch.closed(socket);
    try {
      // A close frame without a code is told as 1005, which is not for sending.
      if (code === 1005) socket.close();
      else socket.close(code, reason);
    } catch {
      // Nor are 1006, of a connection that broke off, and codes that there are not: it was a protocol error.
      socket.close(1002);
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#branch.closed(socket);
  }

  override alarm(): void {
    this.#branch.lookAgain();
  }

  // Calls from other objects; `links.ts` says what they mean.

  link(request: LinkRequest): Promise<LinkAnswer> {
    return this.#branch.link(request);
  }

  unlink(request: LinkRequest): void {
    this.#branch.unlink(request);
  }

  fill(child: string, load: Load, full: boolean): void {
    this.#branch.fill(child, load, full);
  }

  deliver(delivery: Delivery): Promise<DeliveryAnswer> {
    return this.#branch.deliver(delivery);
  }

  announce(batch: Batch): BatchAnswer {
    return this.#branch.announce(batch);
  }

  claim(claim: Claim): number {
    return this.#branch.claim(claim);
  }

  recount(): void {
    this.#branch.recount();
  }

  figures(): Promise<Figures> {
    return this.#branch.figures();
  }

  serviceFigures(): Promise<ServiceFigures> {
    return this.#branch.serviceFigures();
  }
}

function grantsIn(headers: Headers): Grants | undefined {
  const header = headers.get(GRANTS);
  if (header === null) return undefined;
  const grants: unknown = JSON.parse(decodeURIComponent(header));
  if (isGrants(grants)) return grants;
  throw new Error("the Worker says something else than what is granted");
}
