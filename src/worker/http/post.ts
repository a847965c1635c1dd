/** Announcing without a connection, by a call to the channel's root: by POST, with one message per line of the body. */

import { linesOfBody, parseMessages } from "../../protocol/bodies.ts";
import { parsePosition } from "../../protocol/positions.ts";
import { KEY_CONFLICT, NO_HISTORY } from "../../protocol/refusals.ts";
import { type Limits, SettingError } from "../../runtime/limits.ts";
import { wasNotMade } from "../../runtime/runtime.ts";
import { announceFault } from "../../session/announce-fault.ts";
import { admit, checkAnnounce } from "../admission.ts";
import { stubOf, WORKER_HOPS } from "../calls.ts";
import { Denial, retryAfter } from "../denial.ts";
import type { Env } from "../env.ts";
import { typeOf, wordsOf } from "../headers.ts";
import { chargeAddress, MESSAGE_COST, OBJECT_COST } from "../rate-limit.ts";
import { json, POSITION } from "../responses.ts";
import type { Settings } from "../settings.ts";
import { withBody } from "./bodies.ts";

/** Names of UTF-8, and of its subset ASCII. */
const CHARSETS = ["utf-8", "utf8", "us-ascii", "ascii"];

/**
 * Announces the messages in a request's body.
 * @throws Denial if the request is refused
 */
export async function publish(request: Request, env: Env, channel: string, settings: Settings): Promise<Response> {
  const { limits } = settings;
  checkAnnounce(await admit(request, env, settings), channel);
  checkType(request);
  const key = keyIn(request);
  const expected = expectedIn(request);
  chargeAddress(request, OBJECT_COST, limits.linesPerSecond);
  return withBody(request, async (body) => {
    const messages = linesOfBody(decoded(body), limits.linesPerSecond);
    checkJson(request, messages);
    chargeAddress(request, MESSAGE_COST * messages.length, limits.linesPerSecond);
    const position = await announce(env, channel, messages, { key, expected }, limits);
    const headers = position === undefined ? {} : { [POSITION]: String(position) };
    return json(200, { channel, position: position ?? null, count: messages.length }, headers);
  });
}

/**
 * Announces messages at consecutive positions, or none of them.
 * @param options `key`: the idempotency key; `expected`: the position that the newest message must have
 * @returns the position of the last message; undefined on channels without history
 * @throws Denial if nothing was announced, or if that is uncertain; SettingError if the deployment is at fault
 */
export async function announce(
  env: Env,
  channel: string,
  messages: string[],
  { key, expected }: { key?: string | undefined; expected?: number | undefined },
  limits: Limits,
): Promise<number | undefined> {
  const parsed = parseMessages(channel, messages, key, limits);
  if ("why" in parsed) throw new Denial(400, parsed.code, parsed.why);
  const asked = stubOf(env, channel).call("announce", { ...parsed, key, expected }, WORKER_HOPS);
  const answer = await asked.catch((error: unknown) => {
    if (error instanceof SettingError) throw error;
    const { code, why } = announceFault(error);
    const isRepeatable = wasNotMade(error) || key !== undefined;
    throw new Denial(503, code, why, isRepeatable ? retryAfter(1) : {});
  });
  if ("conflict" in answer) throw new Denial(409, "conflict", KEY_CONFLICT);
  if ("none" in answer) throw new Denial(400, "no-history", NO_HISTORY);
  if ("last" in answer) return answer.last;
  const why = `the newest position is ${answer.newest}`;
  throw new Denial(412, "conflict", why, { [POSITION]: String(answer.newest) });
}

/** Refuses bodies that certainly aren't lines of UTF-8; any other `Content-Type` is accepted. */
function checkType(request: Request): void {
  const refuse = (why: string) => {
    throw new Denial(415, "invalid", why);
  };
  const { type, charset } = typeOf(request);
  if (type.startsWith("multipart/"))
    refuse("a body is lines of text, not parts of a form; with curl, use -d instead of -F");
  if (charset && !CHARSETS.includes(charset)) refuse("the body's charset isn't UTF-8; send UTF-8");
  const isCompressed = wordsOf(request, "Content-Encoding").some((coding) => coding !== "identity");
  if (isCompressed) refuse("the body is compressed; send it uncompressed");
}

/**
 * Refuses JSON with line breaks, because each of its lines would be a message.
 * @throws Denial if the body is declared as JSON, but its first line isn't JSON by itself
 */
function checkJson(request: Request, [first = "", ...more]: string[]): void {
  if (more.length === 0 || typeOf(request).type !== "application/json") return;
  try {
    JSON.parse(first);
  } catch {
    throw new Denial(400, "invalid", "the JSON has line breaks, but each line is a message; send it on one line");
  }
}

/**
 * Returns the idempotency key, with or without the quotes that
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ requires.
 */
function keyIn({ headers }: Request): string | undefined {
  return headers.get("Idempotency-Key")?.replace(/^"(.*)"$/, "$1");
}

function expectedIn({ headers }: Request): number | undefined {
  const word = headers.get("If-Position");
  const position = word === null ? undefined : parsePosition(word);
  if (word === null || position !== undefined) return position;
  throw new Denial(400, "invalid", "'If-Position' takes a position, a whole number");
}

/** @throws Denial if it isn't UTF-8 */
function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Denial(400, "invalid", "the body isn't UTF-8; send UTF-8");
  }
}
