/** Requests to a server that can't hang, whatever the network or an injected `fetch` does. */
import { clauseOf, type ErrorCode, isErrorCode } from "../protocol/errors.ts";
import { pollOf } from "./address.ts";
import { Refused } from "./errors.ts";
import { OPEN_WITHIN, SILENT } from "./patience.ts";
import type { ResponseLike } from "./types.ts";
import type { World } from "./world.ts";

/** A response, in the server's own words. */
export interface Answer {
  /** 0 if there was none. */
  status: number;
  /** The server's error code; undefined if it succeeded, or something else answered. */
  code: ErrorCode | undefined;
  said: string;
  /** Milliseconds for which the server asked; 0 if it didn't. */
  retryAfter: number;
}

export interface RequestParts {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Requests in progress; each of them fails when it is called. */
export type Leaving = Set<(error: Error) => void>;

/** Does something that may take so many milliseconds, unless `leaving` ends it before. */
export function limited<T>(
  world: World,
  milliseconds: number,
  leaving: Leaving,
  act: (signal: AbortSignal) => Promise<T>,
  why = SILENT,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    const fail = (error: Error) => {
      end();
      reject(error);
      controller.abort(error);
    };
    const cancel = world.later(milliseconds, () => fail(new Error(why)));
    const end = () => {
      cancel();
      leaving.delete(fail);
    };
    leaving.add(fail);
    act(controller.signal).then(resolve, reject).finally(end);
  });
}

/** Sends a request. @throws what `fetch` throws */
export async function send(
  world: World,
  token: string | undefined,
  url: string,
  { method = "GET", headers = {}, body }: RequestParts = {},
  signal: AbortSignal,
): Promise<ResponseLike> {
  if (!world.fetch) throw new Error("this runtime has no `fetch`; pass one in");
  const authorization: Record<string, string> =
    token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const content = body === undefined ? {} : { body };
  return world.fetch(url, { method, headers: { ...headers, ...authorization }, ...content, signal });
}

/** Reads a response to its end. */
export async function read(response: ResponseLike): Promise<Answer> {
  const { status, headers } = response;
  const word = headers.get("Fanout-Error") ?? "";
  const seconds = Number(headers.get("Retry-After"));
  const said = (await response.text()).trim();
  const code = isErrorCode(word) ? word : undefined;
  return { status, code, said, retryAfter: seconds > 0 ? seconds * 1_000 : 0 };
}

/** Whether a request succeeded. */
export function isFine({ status }: Pick<Answer, "status">): boolean {
  return status >= 200 && status < 300;
}

/** What a response refuses. What isn't the server's own word may be another one next time. */
export function refusalIn({ status, code, said }: Answer): Refused {
  const temporary = status === 429 ? "rate" : "unavailable";
  // A page of something in between has lines.
  const why = /^.{1,200}$/.test(said) ? clauseOf(said) : `the response has the status ${status}`;
  return new Refused(code ?? (status === 413 ? "limit" : temporary), why);
}

/**
 * Asks by a request whether a channel can be subscribed to, as a WebSocket that doesn't open doesn't say why.
 * @returns why not; undefined if it can
 */
export async function probe(
  world: World,
  base: string,
  token: string | undefined,
  channel: string | undefined,
  leaving: Leaving = new Set(),
): Promise<Answer | undefined> {
  try {
    const url = pollOf(base, channel);
    const answer = await limited(world, OPEN_WITHIN, leaving, async (signal) =>
      read(await send(world, token, url, undefined, signal)),
    );
    // A channel without history can't be polled, but it can be subscribed to.
    return answer.status === 200 || answer.code === "no-history" ? undefined : answer;
  } catch {
    return { status: 0, code: undefined, said: "the server can't be reached", retryAfter: 0 };
  }
}
