/**
 * What the Worker tells an object of a connection, and the object answers: headers of a request that has
 * nothing else of the client's, so that no client can say these. What is not a plain word in them is
 * percent-encoded.
 */
import { type Grants, isGrants } from "../auth/grants.ts";

/** A connection for an object to take. */
export interface Upgrade {
  /** Where it comes from, as a location hint; "" if that is not known. */
  region: string;
  /** To a root: the child that turned out to be full; else "". */
  full: string;
  /** What its token grants; undefined on a server without tokens. */
  grants: Grants | undefined;
  /** The WebSocket subprotocol that is chosen, if any is. */
  subprotocol: string | undefined;
}

const REGION = "Fanout-Region";
const FULL = "Fanout-Full";
/** As JSON. */
const GRANTS = "Fanout-Grants";
const SUBPROTOCOL = "Sec-WebSocket-Protocol";
/** From an object without room: the child to go to, or empty from a child, whose root is to be asked. */
const PLACE = "Fanout-Place";

export function formatUpgrade({ region, full, grants, subprotocol }: Upgrade): Headers {
  const headers = new Headers({ Upgrade: "websocket", [REGION]: region, [FULL]: encodeURIComponent(full) });
  if (grants) headers.set(GRANTS, encodeURIComponent(JSON.stringify(grants)));
  if (subprotocol !== undefined) headers.set(SUBPROTOCOL, subprotocol);
  return headers;
}

/** @throws Error if the grants are not what grants are */
export function parseUpgrade(headers: Headers): Upgrade {
  return {
    region: headers.get(REGION) ?? "",
    full: decodeURIComponent(headers.get(FULL) ?? ""),
    grants: parseGrants(headers.get(GRANTS)),
    subprotocol: headers.get(SUBPROTOCOL) ?? undefined,
  };
}

function parseGrants(header: string | null): Grants | undefined {
  if (header === null) return undefined;
  const grants: unknown = JSON.parse(decodeURIComponent(header));
  if (isGrants(grants)) return grants;
  throw new Error("the Worker says something else than what is granted");
}

/** The answer to an upgrade that is to go to another object. */
export function formatElsewhere(place: string): Response {
  return new Response(null, { status: 503, headers: { [PLACE]: encodeURIComponent(place) } });
}

/** The object that an answer names, or "" for the root; undefined if the connection has been taken. */
export function parseElsewhere({ headers }: Response): string | undefined {
  const place = headers.get(PLACE);
  return place === null ? undefined : decodeURIComponent(place);
}

/** The answer to an upgrade that has been taken, with the client's end of the socket. */
export function formatTaken(client: WebSocket, subprotocol: string | undefined): Response {
  const headers = subprotocol === undefined ? {} : { [SUBPROTOCOL]: subprotocol };
  return new Response(null, { status: 101, webSocket: client, headers });
}
