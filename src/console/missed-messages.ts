/** What a client missed while it was not connected, counted: what the server has, by a request, against what came. */
import type { Message } from "../client/fanout.ts";
import { parseReply } from "../protocol/replies.ts";

export interface Account {
  missed: number;
  came: number;
  lost: number;
  twice: number;
}

/** What the server has of a channel after a position. */
export interface Kept {
  texts: string[];
  /** Of the newest message, which may not be kept any more. */
  position: number;
}

/**
 * Asks the server what a channel has after a position.
 * @throws Error if it does not say
 */
export async function keptAfter(
  base: string,
  token: string | undefined,
  channel: string,
  since: number,
): Promise<Kept> {
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/${encodeURIComponent(channel)}?poll&since=${since}`, { headers });
  const said = await response.text();
  const position = Number(response.headers.get("Fanout-Position"));
  if (!response.ok || position === 0) throw new Error(said.trim());
  const replies = said.split("\n").map(parseReply);
  return { texts: replies.flatMap((reply) => (reply.kind === "message" ? [reply.message] : [])), position };
}

/**
 * Compares what came of a channel after a position with what the server has.
 * @param said what the client itself announced meanwhile
 */
export function accountOf(since: number, kept: Kept, messages: Message[], said: { text: string }[]): Account {
  const due = new Map<string, number>();
  for (const text of kept.texts) due.set(text, (due.get(text) ?? 0) + 1);
  const own = placed(said, due);
  const account = { missed: kept.position - since - own.length, came: 0, lost: 0, twice: 0 };
  for (const { text, position } of messages) {
    if (position === undefined || position > kept.position) continue;
    const left = due.get(text) ?? 0;
    if (left > 0 && own.includes(text)) own.splice(own.indexOf(text), 1);
    else if (left > 0) account.came += 1;
    else account.twice += 1;
    due.set(text, left - 1);
  }
  account.lost = account.missed - account.came;
  return account;
}

/** The texts of those that are among what is due. */
function placed(said: { text: string }[], due: Map<string, number>): string[] {
  const left = new Map(due);
  return said.flatMap(({ text }) => {
    const count = left.get(text) ?? 0;
    left.set(text, count - 1);
    return count > 0 ? [text] : [];
  });
}

export function sumOf(accounts: Account[]): Account {
  const sum = { missed: 0, came: 0, lost: 0, twice: 0 };
  for (const { missed, came, lost, twice } of accounts) {
    sum.missed += missed;
    sum.came += came;
    sum.lost += lost;
    sum.twice += twice;
  }
  return sum;
}

export function formatAccount({ missed, came, lost, twice }: Account): string {
  return `${missed} missed, ${came} came back, ${lost} lost, ${twice} twice`;
}
