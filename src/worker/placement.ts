/** Placement of new connections among the objects of a channel's tree. */
import type { Grants } from "../auth/grants.ts";
import type { From } from "../protocol/positions.ts";
import { parentOf } from "../runtime/object-names.ts";
import { type Answer, findPlacement, type Objects, type PlacementCache } from "../streams/placement.ts";
import { subprotocolOf } from "./admission.ts";
import { Denial, denialOf, retryAfter } from "./denial.ts";
import { deploymentFault, otherClass } from "./deployment.ts";
import type { Env } from "./env.ts";
import { discardSocket, STREAM_ENVIRONMENT } from "./object-socket.ts";
import { formatUpgrade, parseRedirect, parseRefused, type Upgrade } from "./upgrade.ts";

const cache: PlacementCache = new Map();

/** An object's response that accepts an upgrade, with the client's end of the socket. */
interface Accepted {
  response: Response;
  webSocket: WebSocket;
}

/**
 * Connects a client to the channel's root, or, if the root is full, to a child that it names.
 * @throws Denial if no object accepts the connection; SettingError if the deployment is at fault
 */
export async function placeConnection(
  env: Env,
  channel: string,
  request: Request,
  grants: Grants | undefined,
  from: From | undefined,
): Promise<Accepted> {
  const hint = HINTS[String(request.cf?.continent)];
  const client = { region: hint ?? "", grants, from, subprotocol: subprotocolOf(request) };
  /** Why an object refused this connection. */
  let refusal: Error | undefined;
  const objects: Objects<Accepted> = {
    offer: async ({ object, full, below }) => {
      try {
        return await offerTo(env, object, { ...client, full, below }, hint);
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
 * Offers a connection to an object. Children are created near their first client; the platform places roots. The
 * runtime retries the request by itself where that is safe.
 * @throws Denial if the object refuses the connection; SettingError if it isn't an object of this server
 */
async function offerTo(
  env: Env,
  object: string,
  upgrade: Upgrade,
  locationHint: DurableObjectLocationHint | undefined,
): Promise<Answer<Accepted>> {
  const isChild = parentOf(object) !== undefined;
  const stub = env.CHANNEL.getByName(object, isChild && locationHint ? { locationHint } : {});
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
const HINTS: Partial<Record<string, DurableObjectLocationHint>> = {
  AF: "afr",
  AS: "apac",
  EU: "weur",
  NA: "enam",
  OC: "oc",
  SA: "sam",
};
