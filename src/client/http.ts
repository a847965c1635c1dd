/** HTTP requests to a server. */
import { EVERYONE } from "../protocol/channels.ts";
import { clauseOf, type ErrorCode, isErrorCode } from "../protocol/errors.ts";
import { type Base, urlOf } from "./address.ts";
import type { Environment } from "./environment.ts";
import { inTime } from "./timing.ts";
import type { ResponseLike } from "./types.ts";

/** A parsed response. */
export interface Answer {
  /** 0 if there was none. */
  status: number;
  /** The server's error code; undefined after success, and if a proxy responded. */
  code?: ErrorCode | undefined;
  /** The error's sentence, if it is one. */
  why: string;
  /** The delay before a retry that the server asked for, in milliseconds; 0 if none. */
  retryAfter?: number;
}

/** Reads a whole response. */
export async function read(response: ResponseLike): Promise<Answer & { body: string; retryAfter: number }> {
  const { status, headers } = response;
  const word = headers.get("Fanout-Error") ?? "";
  const body = (await response.text()).trim();
  const code = isErrorCode(word) ? word : undefined;
  // Proxies respond with HTML pages of several lines.
  const text = /^.{1,300}$/.test(body) ? clauseOf(body) : `status ${status}`;
  const why = code ? text : `the answer isn't from Fanout (${text}); check the address`;
  const retryAfter = Number(headers.get("Retry-After")) * 1_000 || 0;
  return { status, code, body, why, retryAfter };
}

/**
 * Requests a channel to find out whether the client may subscribe to it, as a WebSocket that fails to open gives no
 * reason.
 * @returns the refusal; undefined if the client may subscribe
 */
export async function probe(
  environment: Environment,
  base: Base,
  token: string | undefined,
  channel = EVERYONE,
  signal?: AbortSignal,
): Promise<Answer | undefined> {
  try {
    const answer = await inTime(environment, signal, async (own) => {
      const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
      return read(await environment.fetch(`${urlOf(base, channel)}?poll=`, { method: "GET", headers, signal: own }));
    });
    // Channels without history can't be polled, but subscribing to them works.
    return answer.status === 200 || answer.code === "no-history" ? undefined : answer;
  } catch {
    return { status: 0, why: "the server can't be reached; check the address" };
  }
}
