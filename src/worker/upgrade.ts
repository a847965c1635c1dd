/**
 * What the Worker tells an object of a connection, and the object answers: headers of a request that has
 * nothing else of the client's, so that no client can say these. What is not a plain word in them is
 * percent-encoded.
 */
import { type Grants, isGrants } from "../auth/grants.ts";
import { type Fault, formatReason, parseReason } from "../protocol/errors.ts";
import { type From, formatFrom, parseFromWords } from "../protocol/positions.ts";
import type { Placement } from "../tree/capacity.ts";

/** A connection for an object to take. */
export interface Upgrade {
  /** Where it comes from, as a location hint; "" if that is not known. */
  region: string;
  /** The child of the object that turned out to be full; "" if none did. */
  full: string;
  /** Whether an object without room is to place it below itself. */
  below: boolean;
  /** What its token grants; undefined on a server without tokens. */
  grants: Grants | undefined;
  /** From where on its client wants to hear the channel; undefined if it did not say. */
  from: From | undefined;
  /** The WebSocket subprotocol that is chosen, if any is. */
  subprotocol: string | undefined;
}

const REGION = "Fanout-Region";
const FULL = "Fanout-Full";
/** There if the answer is yes. */
const BELOW = "Fanout-Below";
/** As JSON. */
const GRANTS = "Fanout-Grants";
/** As the words of a command. */
const FROM = "Fanout-From";
const SUBPROTOCOL = "Sec-WebSocket-Protocol";
/** From an object without room: the child to go to, or empty from a child, whose parent is to be asked. */
const PLACE = "Fanout-Placement";

/** From an object that refuses the connection: why, as a close frame would say it. */
const REFUSED = "Fanout-Refused";

export function formatUpgrade({ region, full, below, grants, from, subprotocol }: Upgrade): Headers {
  const headers = new Headers({ Upgrade: "websocket", [REGION]: region, [FULL]: encodeURIComponent(full) });
  if (below) headers.set(BELOW, "yes");
  if (grants) headers.set(GRANTS, encodeURIComponent(JSON.stringify(grants)));
  if (from) headers.set(FROM, formatFrom(from));
  if (subprotocol !== undefined) headers.set(SUBPROTOCOL, subprotocol);
  return headers;
}

/** @throws Error if the grants, or from where on it is to be, are not what they can be */
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
  throw new Error("the Worker says something else than what is granted");
}

function parseFromHeader(header: string | null): From | undefined {
  if (header === null) return undefined;
  const [how = "", word = ""] = header.split(" ");
  const from = parseFromWords(how, word);
  if (from && !("why" in from)) return from;
  throw new Error("the Worker says something else than from where on");
}

/** The answer to an upgrade that is to go to another object. */
export function formatElsewhere({ object, below }: Placement): Response {
  const headers = new Headers({ [PLACE]: encodeURIComponent(object) });
  if (below) headers.set(BELOW, "yes");
  return new Response(null, { status: 503, headers });
}

/** The place that an answer names; undefined if the connection has been taken. */
export function parseElsewhere({ headers }: Response): Placement | undefined {
  const object = headers.get(PLACE);
  return object === null ? undefined : { object: decodeURIComponent(object), below: headers.has(BELOW) };
}

/** The answer to an upgrade that has been taken, with the client's end of the socket. */
export function formatTaken(client: WebSocket, subprotocol: string | undefined): Response {
  const headers = subprotocol === undefined ? {} : { [SUBPROTOCOL]: subprotocol };
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** The answer to an upgrade that this object refuses. */
export function formatRefused(fault: Fault): Response {
  return new Response(null, { status: 503, headers: { [REFUSED]: encodeURIComponent(formatReason(fault)) } });
}

/** The fault for which an object has refused an upgrade; undefined if it hasn't. */
export function parseRefused({ headers }: Response): Fault | undefined {
  const reason = headers.get(REFUSED);
  return reason === null ? undefined : parseReason(decodeURIComponent(reason));
}
