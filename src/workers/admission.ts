/** Who may come in: the origin and the token of a request, before any object hears of it. */
import { type Grants, maySubscribe } from "../auth/grants.ts";
import { readToken } from "../auth/tokens.ts";
import { NoKeys, TokenError } from "../auth/verify.ts";
import type { Settings } from "./settings.ts";

/** The WebSocket subprotocol to offer beside a token; it is the one chosen. */
export const SUBPROTOCOL = "fanout";

/** A request that is not granted, with its HTTP status; the message is a sentence about what is wrong. */
export class Denial extends Error {
  readonly status: number;

  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

const NO_TOKEN = `A token is needed, in 'Authorization: Bearer <token>', in the WebSocket subprotocols '${SUBPROTOCOL}, <token>', or in '?token=<token>'.`;

/**
 * Lets a request in.
 * @returns what it may do; undefined, which is all, on a server without tokens
 * @throws Denial if it is not let in
 */
export async function admit(
  request: Request,
  channel: string,
  settings: Settings,
): Promise<Grants | undefined> {
  if (!isOriginAllowed(request, settings)) throw new Denial(403, "Pages of this origin may not connect.");
  const grants = await grantsOf(request, settings);
  if (!maySubscribe(grants, channel)) throw new Denial(403, "The token does not allow this channel.");
  return grants;
}

/** The WebSocket subprotocol that a client offers, if it is the server's; a browser then insists on its choice. */
export function subprotocolOf(request: Request): string | undefined {
  return subprotocolsOf(request).find((name) => name === SUBPROTOCOL);
}

/** Browsers say from which site a page comes; other clients say nothing, or what they like. */
function isOriginAllowed(request: Request, { allowedOrigins }: Settings): boolean {
  const origin = request.headers.get("Origin");
  return origin === null || allowedOrigins === undefined || allowedOrigins.includes(origin);
}

async function grantsOf(request: Request, { tokens }: Settings): Promise<Grants | undefined> {
  if (!tokens) return undefined;
  const token = tokenOf(request);
  if (token === undefined) throw new Denial(401, NO_TOKEN);
  try {
    return await readToken(token, tokens);
  } catch (error) {
    if (error instanceof TokenError) throw new Denial(401, `The token is not good: ${error.message}.`);
    if (error instanceof NoKeys) throw new Denial(503, `Cannot check the token: ${error.message}.`);
    throw error;
  }
}

function tokenOf(request: Request): string | undefined {
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
