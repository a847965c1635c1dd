/** Access of web pages by their origins, and CORS headers. */
import { Denial } from "./denial.ts";
import { ERROR, POSITION, SERVER_VERSION } from "./responses.ts";
import type { Settings } from "./settings.ts";

export const METHODS = "GET, HEAD, POST, OPTIONS";

/** How long a browser may cache a preflight, in seconds: a day. */
const PREFLIGHT_MAX_AGE = 86_400;

/** Headers that a page may send, if the preflight doesn't name any. */
const ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Position, Last-Event-ID";
const EXPOSED_HEADERS = `${ERROR}, ${POSITION}, ${SERVER_VERSION}, Retry-After`;

/** Most headers in a preflight. Browsers list only headers that aren't simple, which are few. */
const MAX_HEADERS = 100;

/** Anything that a browser could send as an origin; other clients may send any text. */
const ORIGIN = /^[!-~]{1,300}$/;

/** The name of a header, https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;

/**
 * Checks the origin of the page that sent a request. Only browsers send it reliably.
 * @throws Denial if the server doesn't allow pages of that origin
 */
export function checkOrigin(request: Request, { allowedOrigins }: Settings): void {
  const origin = request.headers.get("Origin");
  if (origin === null || allowedOrigins === undefined || allowedOrigins.includes(origin)) return;
  const why = "this server doesn't allow pages of this origin; its setting ALLOWED_ORIGINS has to name it";
  throw new Denial(403, "forbidden", why);
}

/** Returns the response to OPTIONS: the methods, and the headers that pages may send. */
export function preflight(request: Request, methods = METHODS): Response {
  // Allows all headers that a page asks for: libraries add some, for tracing for example, and none gives a page more
  // access.
  const names = (request.headers.get("Access-Control-Request-Headers") ?? "").split(",", MAX_HEADERS);
  const valid = names.map((name) => name.trim()).filter((name) => HEADER_NAME.test(name));
  const headers = {
    Allow: methods,
    "Access-Control-Allow-Methods": methods,
    "Access-Control-Allow-Headers": valid.length === 0 ? ALLOWED_HEADERS : valid.join(", "),
    "Access-Control-Max-Age": String(PREFLIGHT_MAX_AGE),
    Vary: "Access-Control-Request-Headers",
  };
  return new Response(null, { status: 204, headers });
}

/**
 * Lets pages of the request's origin read a response. Pages of origins that aren't allowed can read the refusal of
 * `checkOrigin`, which is all that they get.
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
