/** Answers to requests. */
import { sentenceOf } from "../protocol/refusals.ts";
import type { Denial } from "./denial.ts";

/** The newest position that an answer tells of. */
export const POSITION = "Fanout-Position";

const COMMON = { "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" };

export function text(status: number, body: string, more: Record<string, string> = {}): Response {
  const headers = { ...COMMON, "Content-Type": "text/plain; charset=utf-8", ...more };
  return new Response(body, { status, headers });
}

export function json(status: number, value: unknown, more: Record<string, string> = {}): Response {
  const headers = { ...COMMON, "Content-Type": "application/json", ...more };
  return new Response(`${JSON.stringify(value)}\n`, { status, headers });
}

/** The answer that says why a request is not granted. */
export function denied({ status, message, headers }: Denial): Response {
  const challenge = status === 401 ? { "WWW-Authenticate": "Bearer" } : {};
  return text(status, `${sentenceOf(message)}\n`, { ...challenge, ...headers });
}
