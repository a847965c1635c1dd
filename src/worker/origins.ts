/** Which pages may use this server, by their origins, and the headers that tell browsers so. */
import { Denial } from "./denial.ts";
import { ERROR, POSITION } from "./responses.ts";
import type { Settings } from "./settings.ts";

/** The methods that have a meaning. */
export const METHODS = "GET, HEAD, POST, OPTIONS";

/** How long a browser may remember what it may do, in seconds: a day. */
const REMEMBERED_FOR = 86_400;

/** Headers that a page may send if its browser doesn't ask for any. */
const ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Position, Last-Event-ID";
const EXPOSED_HEADERS = `${ERROR}, ${POSITION}, Retry-After`;

/** Most headers that a page may send: a browser asks for those that aren't simple, which are few. */
const MOST_HEADERS = 100;

/** Anything that a browser could send as an origin; other clients send what they like. */
const ORIGIN = /^[!-~]{1,300}$/;

/** A header's name, https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;

/**
 * Checks the origin of the page that sent a request. Browsers send it; other clients send none, or any they like.
 * @throws Denial if the server doesn't allow pages of that origin
 */
export function checkOrigin(request: Request, { allowedOrigins }: Settings): void {
  const origin = request.headers.get("Origin");
  if (origin === null || allowedOrigins === undefined || allowedOrigins.includes(origin)) return;
  const why = "this server doesn't allow pages of this origin; its setting ALLOWED_ORIGINS has to name it";
  throw new Denial(403, "forbidden", why);
}

/** Returns the response to OPTIONS: the methods, and the headers that pages may send. */
export function preflight(request: Request): Response {
  const headers = {
    Allow: METHODS,
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": headersFor(request),
    "Access-Control-Max-Age": String(REMEMBERED_FOR),
    Vary: "Access-Control-Request-Headers",
  };
  return new Response(null, { status: 204, headers });
}

/** Allows every header: libraries add theirs, for tracing for example, and none has an effect that a page couldn't have. */
function headersFor({ headers }: Request): string {
  const names = (headers.get("Access-Control-Request-Headers") ?? "").split(",", MOST_HEADERS);
  const valid = names.map((name) => name.trim()).filter((name) => HEADER_NAME.test(name));
  return valid.length === 0 ? ALLOWED_HEADERS : valid.join(", ");
}

/**
 * Lets pages of the request's origin read a response. Pages of other origins only ever get the refusal of
 * `checkOrigin`, which they may read, too.
 * @param allowedOrigins undefined if all are allowed, or if the settings can't be read
 */
export function shareWithOrigin(
  request: Request,
  response: Response,
  allowedOrigins: readonly string[] | undefined,
): Response {
  const origin = request.headers.get("Origin");
  if (response.webSocket) return response;
  const { headers } = response;
  if (allowedOrigins) headers.append("Vary", "Origin");
  if (origin === null || !ORIGIN.test(origin)) return response;
  headers.set("Access-Control-Allow-Origin", allowedOrigins ? origin : "*");
  headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  return response;
}
