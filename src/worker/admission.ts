/** Checks the tokens of requests, before any object is called. */
import { type Grants, mayAnnounce, maySubscribe } from "../auth/grants.ts";
import { NoKeys, TokenError } from "../auth/verify.ts";
import { subjectOf } from "../protocol/members.ts";
import { notGranted, SERVER_ANNOUNCES } from "../protocol/refusals.ts";
import { Denial, retryAfter } from "./denial.ts";
import type { Settings } from "./settings.ts";
import { verify } from "./verification.ts";

/** The WebSocket subprotocol that clients offer together with a token, and that the server chooses. */
export const SUBPROTOCOL = "fanout";

const NO_TOKEN = `a token is missing; send it as 'Authorization: Bearer <token>', as the WebSocket subprotocols '${SUBPROTOCOL}, <token>', or as '?token=<token>'`;

/**
 * Checks the token of a request.
 * @returns its grants; undefined, which allows everything, on a server without tokens
 * @throws Denial if the token is missing or invalid
 */
export async function admit(request: Request, { tokens }: Settings): Promise<Grants | undefined> {
  if (!tokens) return undefined;
  const token = tokenOf(request);
  if (token === undefined) throw new Denial(401, "forbidden", NO_TOKEN);
  try {
    return await verify(token, tokens);
  } catch (error) {
    if (error instanceof TokenError) throw new Denial(401, error.code, error.message, {}, error.sub);
    if (error instanceof NoKeys) throw new Denial(503, "unavailable", error.message, retryAfter(error.seconds));
    throw error;
  }
}

/** @throws Denial if `grants` don't include subscribing to `channel` */
export function checkSubscribe(grants: Grants | undefined, channel: string): void {
  if (!maySubscribe(grants, channel)) throw forbidden(grants, notGranted("subscribe", channel));
}

/** @throws Denial if `grants` don't include announcing on `channel`, or if only the server announces there */
export function checkAnnounce(grants: Grants | undefined, channel: string): void {
  if (subjectOf(channel) !== undefined) throw forbidden(grants, SERVER_ANNOUNCES);
  if (!mayAnnounce(grants, channel)) throw forbidden(grants, notGranted("announce", channel));
}

function forbidden(grants: Grants | undefined, why: string): Denial {
  return new Denial(403, "forbidden", why, {}, grants?.sub);
}

/**
 * Returns the server's WebSocket subprotocol if the client offers it; browsers require that the server chooses it then.
 */
export function subprotocolOf(request: Request): string | undefined {
  return subprotocolsOf(request).find((name) => name === SUBPROTOCOL);
}

/** Returns the token of a request, from its header, subprotocols or query. */
export function tokenOf(request: Request): string | undefined {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(request.headers.get("Authorization") ?? "") ?? [];
  if (bearer !== undefined) return bearer;
  if (subprotocolOf(request) !== undefined) {
    const other = subprotocolsOf(request).find((name) => name !== SUBPROTOCOL);
    if (other !== undefined) return other;
  }
  return new URL(request.url).searchParams.get("token") ?? undefined;
}

function subprotocolsOf(request: Request): string[] {
  return (request.headers.get("Sec-WebSocket-Protocol") ?? "").split(",").map((name) => name.trim());
}
