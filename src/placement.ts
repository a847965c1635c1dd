/** Which object of a channel's tree a new connection goes to. */
import { Denial, offersSubprotocol, SUBPROTOCOL } from "./admission.ts";
import { FULL, GRANTS, PLACE, REGION } from "./channel.ts";
import type { Grants } from "./grants.ts";
import type { Env } from "./worker.ts";

/** How long a Worker sends a channel's connections straight to the child it was told last, in milliseconds. */
const REMEMBERED_FOR = 10_000;
/** Most channels that a Worker remembers a child of. */
const MOST_REMEMBERED = 1_000;
/** Most objects asked for one connection. Only a race with very many others takes more than three. */
const MOST_ASKED = 16;

/** Of channels whose root is full: the child that had room last. */
const remembered = new Map<string, { child: string; until: number }>();

/**
 * Connects a client in the channel's root, or, if that is full, in the child that the root names.
 * @returns the object's answer to the upgrade
 * @throws Denial if no object takes it
 */
export async function placeConnection(
  env: Env,
  channel: string,
  request: Request,
  grants: Grants | undefined,
): Promise<Response> {
  const region = regionOf(request);
  const headers = headersOf(request, region, grants);
  let object = recall(channel);
  let full = "";
  for (let asked = 0; asked < MOST_ASKED; asked++) {
    const answer = await ask(env, object, full, headers, region);
    const place = answer.headers.get(PLACE);
    if (place === null) return answer;
    const child = decodeURIComponent(place);
    if (child === "") {
      full = object;
      object = channel;
      remembered.delete(channel);
    } else {
      full = "";
      object = child;
      remember(channel, child);
    }
  }
  throw new Denial(503, "Every object of this channel is full; try again.");
}

/** What an object is told of a connection. Nothing of the client's own is passed on, so it cannot say these. */
function headersOf(request: Request, region: string, grants: Grants | undefined): Headers {
  const headers = new Headers({ Upgrade: "websocket", [REGION]: region });
  if (grants) headers.set(GRANTS, encodeURIComponent(JSON.stringify(grants)));
  if (offersSubprotocol(request)) headers.set("Sec-WebSocket-Protocol", SUBPROTOCOL);
  return headers;
}

/** A child is made near its first client; a root is where the platform puts it. */
async function ask(
  env: Env,
  object: string,
  full: string,
  headers: Headers,
  region: string,
): Promise<Response> {
  headers.set(FULL, encodeURIComponent(full));
  const hint = isHint(region) && object.includes("!") ? { locationHint: region } : {};
  try {
    return await env.CHANNEL.getByName(object, hint).fetch("http://object/", { headers });
  } catch {
    // What may be repeated the runtime has repeated already, and what went wrong it has logged.
    throw new Denial(503, "The channel's object does not answer; try again later.");
  }
}

function recall(channel: string): string {
  const known = remembered.get(channel);
  return known && known.until > Date.now() ? known.child : channel;
}

function remember(channel: string, child: string): void {
  if (remembered.size >= MOST_REMEMBERED) remembered.clear();
  remembered.set(channel, { child, until: Date.now() + REMEMBERED_FOR });
}

/**
 * The platform's location hints by continent,
 * https://developers.cloudflare.com/durable-objects/reference/data-location/
 */
const HINTS = { AF: "afr", AS: "apac", EU: "weur", NA: "enam", OC: "oc", SA: "sam" } as const;

type Hint = (typeof HINTS)[keyof typeof HINTS];

function isHint(region: string): region is Hint {
  return Object.values(HINTS).some((hint) => hint === region);
}

/** The location hint for where a request comes from; empty if that is not known. */
function regionOf({ cf }: Request): string {
  const continent = cf?.continent;
  const known = Object.entries(HINTS).find(([name]) => name === continent);
  return known?.[1] ?? "";
}
