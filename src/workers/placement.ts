/** Which object of a channel's tree a new connection goes to. */
import type { Grants } from "../auth/grants.ts";
import { parentOf } from "../links/names.ts";
import type { From } from "../protocol/positions.ts";
import { subprotocolOf } from "./admission.ts";
import { Denial, retryAfter } from "./denial.ts";
import { deploymentFault, otherClass } from "./deployment.ts";
import type { Env } from "./env.ts";
import { formatUpgrade, parseElsewhere, parseRefused, type Upgrade } from "./upgrade.ts";

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
 * @throws Denial if no object takes it; SettingError if the deployment is at fault
 */
export async function placeConnection(
  env: Env,
  channel: string,
  request: Request,
  grants: Grants | undefined,
  from: From | undefined,
): Promise<Response> {
  const region = regionOf(request);
  const upgrade = { region, full: "", below: false, grants, from, subprotocol: subprotocolOf(request) };
  let object = recall(channel);
  for (let asked = 0; asked < MOST_ASKED; asked++) {
    const answer = await ask(env, object, upgrade);
    const elsewhere = parseElsewhere(answer);
    if (elsewhere === undefined) return taken(answer);
    upgrade.below = elsewhere.below;
    if (elsewhere.object === "") {
      upgrade.full = object;
      object = parentOf(object) ?? channel;
      remembered.delete(channel);
    } else {
      upgrade.full = "";
      object = elsewhere.object;
      remember(channel, object);
    }
  }
  throw new Denial(503, "unavailable", "every object of this channel is full; try again", retryAfter(5));
}

/**
 * Returns an object's answer that has the client's end of a connection.
 * @throws Denial if the object refuses the connection; SettingError if it isn't an object of this server
 */
function taken(answer: Response): Response {
  if (answer.webSocket) return answer;
  const fault = parseRefused(answer);
  if (!fault) throw otherClass();
  throw new Denial(503, fault.code, fault.why, retryAfter(5));
}

/** A child is made near its first client; a root is where the platform puts it. */
async function ask(env: Env, object: string, upgrade: Upgrade): Promise<Response> {
  const { region } = upgrade;
  const hint = isHint(region) && parentOf(object) !== undefined ? { locationHint: region } : {};
  try {
    const stub = env.CHANNEL.getByName(object, hint);
    return await stub.fetch("http://object/", { headers: formatUpgrade(upgrade) });
  } catch (error) {
    // What may be repeated the runtime has repeated already, and what went wrong it has logged.
    throw deploymentFault(error) ?? unanswered();
  }
}

/** The denial where a channel's object doesn't answer. */
export function unanswered(): Denial {
  return new Denial(
    503,
    "unavailable",
    "the channel's object doesn't answer; try again later",
    retryAfter(5),
  );
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
