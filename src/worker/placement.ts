/** Which object of a channel's tree a new connection goes to. */
import type { Grants } from "../auth/grants.ts";
import type { From } from "../protocol/positions.ts";
import { parentOf } from "../runtime/object-names.ts";
import { type Answer, findPlacement, type Objects, PlacementCache } from "../streams/placement.ts";
import { subprotocolOf } from "./admission.ts";
import { Denial, denialOf, retryAfter } from "./denial.ts";
import { deploymentFault, otherClass } from "./deployment.ts";
import type { Env } from "./env.ts";
import { discardSocket } from "./object-socket.ts";
import { STREAM_ENVIRONMENT } from "./stream-environment.ts";
import { formatUpgrade, parseRedirect, parseRefused, type Upgrade } from "./upgrade.ts";

const cache = new PlacementCache(STREAM_ENVIRONMENT);

/** An object's response to an upgrade that it has taken, with the client's end of the socket. */
interface Accepted {
  response: Response;
  webSocket: WebSocket;
}

/**
 * Connects a client in the channel's root, or, if that is full, in the child that the root names.
 * @throws Denial if no object takes it; SettingError if the deployment is at fault
 */
export async function placeConnection(
  env: Env,
  channel: string,
  request: Request,
  grants: Grants | undefined,
  from: From | undefined,
): Promise<Accepted> {
  const client = { region: regionOf(request), grants, from, subprotocol: subprotocolOf(request) };
  /** What an object says of why it can't take any connection like this one. */
  let refusal: Error | undefined;
  const objects: Objects<Accepted> = {
    offer: async ({ object, full, below }) => {
      try {
        return await ask(env, object, { ...client, full, below });
      } catch (error) {
        refusal = error instanceof Denial ? error : deploymentFault(error);
        throw error;
      }
    },
    discard: ({ webSocket }) => discardSocket(webSocket),
  };
  const outcome = await findPlacement(channel, objects, cache, STREAM_ENVIRONMENT);
  if ("accepted" in outcome) return outcome.accepted;
  throw refusal ?? denialOf(outcome);
}

/**
 * A child is made near its first client; a root is where the platform puts it. What may be repeated the runtime repeats
 * by itself.
 * @throws Denial if the object refuses the connection; SettingError if it isn't an object of this server
 */
async function ask(env: Env, object: string, upgrade: Upgrade): Promise<Answer<Accepted>> {
  const { region } = upgrade;
  const hint = isHint(region) && parentOf(object) !== undefined ? { locationHint: region } : {};
  const stub = env.CHANNEL.getByName(object, hint);
  const response = await stub.fetch("http://object/", { headers: formatUpgrade(upgrade) });
  const { webSocket } = response;
  if (webSocket) return { accepted: { response, webSocket } };
  const redirect = parseRedirect(response);
  if (redirect) return { redirect };
  const fault = parseRefused(response);
  throw fault ? new Denial(503, fault.code, fault.why, retryAfter(5)) : otherClass();
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
