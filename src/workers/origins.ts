/** Pages of which origins may use this server, and what browsers have to be told for that. */
import { Denial } from "./denial.ts";
import { ERROR, POSITION } from "./responses.ts";
import type { Settings } from "./settings.ts";

/** How long a browser may remember what it may do, in seconds: a day. */
const REMEMBERED_FOR = 86_400;

const ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Position, Last-Event-ID";
const EXPOSED_HEADERS = `${ERROR}, ${POSITION}, Retry-After`;

/**
 * Browsers say from which site a page comes; other clients say nothing, or what they like.
 * @throws Denial if pages of that origin may not come in
 */
export function checkOrigin(request: Request, { allowedOrigins }: Settings): void {
  const origin = request.headers.get("Origin");
  if (origin === null || allowedOrigins === undefined || allowedOrigins.includes(origin)) return;
  throw new Denial(403, "forbidden", "this server doesn't allow pages of this origin");
}

/** The answer to a browser, or to anybody, that asks what may be done with an address. */
export function preflight(methods: string): Response {
  const headers = {
    Allow: methods,
    "Access-Control-Allow-Methods": methods,
    "Access-Control-Allow-Headers": ALLOWED_HEADERS,
    "Access-Control-Max-Age": String(REMEMBERED_FOR),
  };
  return new Response(null, { status: 204, headers });
}

/** Lets pages of the request's origin read an answer, if they may come in. */
export function shareWithOrigin(request: Request, response: Response, settings: Settings): Response {
  const origin = request.headers.get("Origin");
  if (response.webSocket) return response;
  const { headers } = response;
  if (settings.allowedOrigins) headers.append("Vary", "Origin");
  if (origin === null) return response;
  if (!settings.allowedOrigins) headers.set("Access-Control-Allow-Origin", "*");
  else if (settings.allowedOrigins.includes(origin)) headers.set("Access-Control-Allow-Origin", origin);
  headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  return response;
}
