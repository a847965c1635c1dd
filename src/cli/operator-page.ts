/** Requests to the operators' pages of a server. */
import { clauseOf } from "../protocol/errors.ts";
import { urlOf } from "./address.ts";
import { Exit, messageOf, REFUSED, TIMED_OUT, UNREACHABLE } from "./exits.ts";
import { checkAddress, type ServerOptions } from "./server.ts";

/**
 * Requests a page below `/-/`.
 * @param path of the page, with its query
 * @returns its JSON
 * @throws Exit if the server doesn't answer, or refuses
 */
export async function operatorPage(
  url: string,
  { token, timeout }: ServerOptions,
  path: string,
  init: RequestInit = {},
): Promise<unknown> {
  checkAddress(url);
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
  const signal = AbortSignal.timeout(timeout * 1_000);
  try {
    const response = await fetch(`${urlOf({ url, token }, "")}-/${path}`, { ...init, headers, signal });
    const text = await response.text();
    if (!response.ok) throw new Exit(REFUSED, clauseOf(text.trim()) || `the server answers with ${response.status}`);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof Exit) throw error;
    if (signal.aborted) throw new Exit(TIMED_OUT, `the server didn't reply within ${timeout} s`);
    if (error instanceof SyntaxError) throw new Exit(REFUSED, "the answer isn't JSON; is this a Fanout server?");
    throw new Exit(UNREACHABLE, `the server can't be reached (${causeOf(error)}); check the address`);
  }
}

/** Returns the cause of a failed `fetch`, whose own message says nothing. */
function causeOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
