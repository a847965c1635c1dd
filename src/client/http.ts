/** Requests to a server, and what it responds. */
import { EVERYONE } from "../protocol/channels.ts";
import { clauseOf, type ErrorCode, isErrorCode } from "../protocol/errors.ts";
import { type Base, urlOf } from "./address.ts";
import type { Environment } from "./environment.ts";
import { inTime } from "./timing.ts";
import type { ResponseLike } from "./types.ts";

/** A response. */
export interface Answer {
  /** 0 if there was none. */
  status: number;
  /** The server's error code; undefined if it succeeded, or something else answered. */
  code?: ErrorCode | undefined;
  /** What is wrong, if it is a refusal. */
  why: string;
  /** Milliseconds for which the server asked; 0 if it didn't. */
  retryAfter?: number;
}

/** Reads a response to its end. */
export async function read(response: ResponseLike): Promise<Answer & { said: string; retryAfter: number }> {
  const { status, headers } = response;
  const word = headers.get("Fanout-Error") ?? "";
  const said = (await response.text()).trim();
  // A page of something in between has lines.
  const why = /^.{1,300}$/.test(said) ? clauseOf(said) : `the response has the status ${status}`;
  const retryAfter = Number(headers.get("Retry-After")) * 1_000 || 0;
  return { status, code: isErrorCode(word) ? word : undefined, said, why, retryAfter };
}

/**
 * Asks by a request whether a channel can be subscribed to, as a WebSocket that doesn't open doesn't say why.
 * @returns why not; undefined if it can
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
      return read(
        await environment.fetch(`${urlOf(base, channel)}?poll=`, { method: "GET", headers, signal: own }),
      );
    });
    // A channel without history can't be polled, but it can be subscribed to.
    return answer.status === 200 || answer.code === "no-history" ? undefined : answer;
  } catch {
    return { status: 0, why: "the server can't be reached" };
  }
}
