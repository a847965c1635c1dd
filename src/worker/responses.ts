/** Responses to requests. */
import { sentenceOf } from "../protocol/errors.ts";
import type { Denial } from "./denial.ts";

/** The response header with the newest position in a response. */
export const POSITION = "Fanout-Position";
/** The response header with the server's version. */
export const SERVER_VERSION = "Fanout-Version";
/** The response header with the error code of a refusal. */
export const ERROR = "Fanout-Error";

const COMMON = { "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" };

export function text(status: number, body: string, more: Record<string, string> = {}): Response {
  const headers = { ...COMMON, "Content-Type": "text/plain; charset=utf-8", ...more };
  return new Response(body, { status, headers });
}

export function json(status: number, value: unknown, more: Record<string, string> = {}): Response {
  const headers = { ...COMMON, "Content-Type": "application/json", ...more };
  return new Response(`${JSON.stringify(value)}\n`, { status, headers });
}

/** Returns the response to a refused request: the error code in a header, the reason as the body. */
export function denied({ status, code, message, headers }: Denial): Response {
  const challenge = status === 401 ? { "WWW-Authenticate": "Bearer" } : {};
  return text(status, `${sentenceOf(message)}\n`, { [ERROR]: code, ...challenge, ...headers });
}
