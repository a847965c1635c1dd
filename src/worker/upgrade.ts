/**
 * The headers with which a Worker offers a connection to an object, and the object answers. The request has no headers
 * of the client, so clients can't forge them. Values that may have special characters are percent-encoded.
 */
import { type Grants, isGrants } from "../auth/grants.ts";
import { type Fault, formatReason, parseReason } from "../protocol/errors.ts";
import { type From, formatFrom, parseFromWords } from "../protocol/positions.ts";
import type { Placement } from "../tree/capacity.ts";

/** A connection offered to an object. */
export interface Upgrade {
  /** The client's region, as a location hint; "" if unknown. */
  region: string;
  /** The object's child that turned out to be full; "" if none did. */
  full: string;
  /** Whether the object, if it is full, must place the connection below itself. */
  below: boolean;
  /** The grants of the client's token; undefined on a server without tokens. */
  grants: Grants | undefined;
  /** Where to start in the channel; undefined if the client didn't ask for any position. */
  from: From | undefined;
  /** The chosen WebSocket subprotocol, if any. */
  subprotocol: string | undefined;
}

const REGION = "Fanout-Region";
const FULL = "Fanout-Full";
/** Present if true. */
const BELOW = "Fanout-Below";
/** As JSON. */
const GRANTS = "Fanout-Grants";
/** As the words of a command. */
const FROM = "Fanout-From";
const SUBPROTOCOL = "Sec-WebSocket-Protocol";
/** In the answer of a full object: the child to try; empty for the object's parent. */
const PLACE = "Fanout-Place";

/** In the answer of an object that refuses the connection: the reason, in the format of close frames. */
const REFUSED = "Fanout-Refused";

export function formatUpgrade({ region, full, below, grants, from, subprotocol }: Upgrade): Headers {
  const headers = new Headers({ Upgrade: "websocket", [REGION]: region, [FULL]: encodeURIComponent(full) });
  if (below) headers.set(BELOW, "yes");
  if (grants) headers.set(GRANTS, encodeURIComponent(JSON.stringify(grants)));
  if (from) headers.set(FROM, formatFrom(from));
  if (subprotocol !== undefined) headers.set(SUBPROTOCOL, subprotocol);
  return headers;
}

/** @throws Error if the grants or the starting position are invalid */
export function parseUpgrade(headers: Headers): Upgrade {
  return {
    region: headers.get(REGION) ?? "",
    full: decodeURIComponent(headers.get(FULL) ?? ""),
    below: headers.has(BELOW),
    grants: parseGrants(headers.get(GRANTS)),
    from: parseFromHeader(headers.get(FROM)),
    subprotocol: headers.get(SUBPROTOCOL) ?? undefined,
  };
}

function parseGrants(header: string | null): Grants | undefined {
  if (header === null) return undefined;
  const grants: unknown = JSON.parse(decodeURIComponent(header));
  if (isGrants(grants)) return grants;
  throw new Error(`${GRANTS} isn't valid`);
}

function parseFromHeader(header: string | null): From | undefined {
  if (header === null) return undefined;
  const [how = "", word = ""] = header.split(" ");
  const from = parseFromWords(how, word);
  if (from && !("why" in from)) return from;
  throw new Error(`${FROM} isn't valid`);
}

/** Returns the answer that redirects an upgrade to another object. */
export function formatRedirect({ object, below }: Placement): Response {
  const headers = new Headers({ [PLACE]: encodeURIComponent(object) });
  if (below) headers.set(BELOW, "yes");
  return new Response(null, { status: 503, headers });
}

/** Returns the redirect of an answer; undefined if it has none. */
export function parseRedirect({ headers }: Response): Placement | undefined {
  const object = headers.get(PLACE);
  return object === null ? undefined : { object: decodeURIComponent(object), below: headers.has(BELOW) };
}

/** Returns the answer that accepts an upgrade, with the client's end of the socket. */
export function formatAccepted(client: WebSocket, subprotocol: string | undefined): Response {
  const headers = subprotocol === undefined ? {} : { [SUBPROTOCOL]: subprotocol };
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** Returns the answer that refuses an upgrade. */
export function formatRefused(fault: Fault): Response {
  return new Response(null, { status: 503, headers: { [REFUSED]: encodeURIComponent(formatReason(fault)) } });
}

/** Returns why an object refused an upgrade; undefined if it didn't. */
export function parseRefused({ headers }: Response): Fault | undefined {
  const reason = headers.get(REFUSED);
  return reason === null ? undefined : parseReason(decodeURIComponent(reason));
}
