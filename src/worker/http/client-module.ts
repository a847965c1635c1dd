/** `/-/client.js`: the client library, which pages of any origin can import. */
import { VERSION } from "../../version.ts";
import { CLIENT, CLIENT_HASH } from "../client-built.ts";
import { Denial } from "../denial.ts";
import { preflight } from "../origins.ts";
import { SERVER_VERSION } from "../responses.ts";

const METHODS = "GET, HEAD, OPTIONS";

/** How long browsers may use their copy without asking, in seconds: an hour. Any client works with any server. */
const MAX_AGE = 3_600;

const TAG = `"${VERSION}-${CLIENT_HASH}"`;

/** Whether a path is that of the client library. */
export function isClientModule(path: string): boolean {
  return path === "/-/client.js";
}

/**
 * Returns the client library. It ignores the settings: the library is public, and lets pages read which setting is
 * wrong.
 * @throws Denial if the method isn't supported
 */
export function clientModule(request: Request): Response {
  const { method, headers } = request;
  if (method === "OPTIONS") return preflight(request, METHODS);
  if (method !== "GET" && method !== "HEAD") {
    throw new Denial(405, "invalid", "only GET is allowed here", { Allow: METHODS });
  }
  const common = {
    ETag: TAG,
    "Cache-Control": `public, max-age=${MAX_AGE}`,
    [SERVER_VERSION]: VERSION,
    // Shared caches hold one copy for all origins.
    "Access-Control-Allow-Origin": "*",
  };
  if (hasCopy(headers.get("If-None-Match") ?? "")) return new Response(null, { status: 304, headers: common });
  const type = { "Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff" };
  return new Response(CLIENT, { headers: { ...common, ...type } });
}

/** Whether `If-None-Match` names the current version. Proxies that compress responses make its tag weak. */
function hasCopy(tags: string): boolean {
  return tags.split(",").some((tag) => ["*", TAG].includes(tag.trim().replace(/^W\//, "")));
}
