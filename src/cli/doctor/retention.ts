/** Checks that the server retains messages, deduplicates them by key, and announces members. */
import { randomUUID } from "node:crypto";
import type { Refusal } from "../../protocol/errors.ts";
import { memberFault, presenceOf } from "../../protocol/members.ts";
import { parseReply } from "../../protocol/replies.ts";
import type { RawSocket } from "../raw-socket.ts";
import { claimsIn } from "./claims.ts";
import { check, expectLines, type Finding, note, ok } from "./findings.ts";
import { newChannel, type Target } from "./target.ts";
import { withSocket } from "./transcripts.ts";

const REMEDY = "see in the server's log (npx wrangler tail) whether rows are refused";

const ABOUT = { needs: "history", remedy: REMEDY } as const;

export const retention = [
  check("history", { needs: "sockets", remedy: REMEDY }, (target) =>
    withSocket(target, (socket) => findHistory(socket, target)),
  ),
  check("once", ABOUT, (target) => withSocket(target, announceTwice)),
  check("resume", ABOUT, reconnect),
  check("presence", ABOUT, (target) =>
    withSocket(target, (socket, channel) => enterAndLeave(socket, channel, memberFor(target))),
  ),
];

async function findHistory(socket: RawSocket, { has }: Target): Promise<Finding> {
  const channel = newChannel();
  const [answer = "", ...more] = await socket.repliesTo(`subscribe ${channel} since now`);
  const reply = parseReply(answer);
  if (reply.kind === "error" && reply.code === "no-history") {
    return note(
      "no messages are retained, so reconnecting clients miss some; set HISTORY_SECONDS and HISTORY_CHANNELS",
    );
  }
  if (reply.kind !== "position") expectLines([answer, ...more], [`debug!position ${channel} …`]);
  has.add("history");
  return ok("messages are retained for clients that reconnect");
}

async function announceTwice(socket: RawSocket, channel: string): Promise<Finding> {
  const key = randomUUID();
  const command = `once ${key} ${channel} hello`;
  const answers = await socket.repliesTo(command, command);
  const positions = answers.map(parseReply).flatMap((reply) => (reply.kind === "once" ? [reply.position] : []));
  const again = `debug!once ${key} ${positions[0] ?? "…"}`;
  // The message and the first reply may be received in any order.
  expectLines([...answers].sort(), [again, again, `${channel}!hello`]);
  return ok("the same key announces once, at one position");
}

async function reconnect(target: Target): Promise<Finding> {
  const channel = newChannel();
  const before = await target.socket(channel, { since: "now" });
  const line = await before.line();
  const reply = parseReply(line);
  if (reply.kind !== "position") throw new Error(`the server answers '${line}' instead of a position`);
  const { position } = reply;
  expectLines(await before.repliesTo(`announce ${channel} one`), [`${channel}!one`]);
  before.close();
  await withSocket(target, (other) => other.repliesTo(`announce ${channel} two`, `announce ${channel} three`));
  const after = await target.socket(channel, { since: String(position + 1) });
  try {
    expectLines(await after.repliesTo(), [
      `debug!position ${channel} ${position + 1}`,
      `${channel}!two`,
      `${channel}!three`,
    ]);
  } finally {
    after.close();
  }
  return ok("a client that reconnects receives exactly the missed messages");
}

/** Returns the name under which the doctor may enter. */
function memberFor({ address: { token } }: Target): string {
  const { sub } = token === undefined ? {} : claimsIn(token);
  return typeof sub === "string" && memberFault(sub) === undefined ? sub : "doctor";
}

async function enterAndLeave(socket: RawSocket, channel: string, member: string): Promise<Finding> {
  const [first = "", ...more] = await socket.repliesTo(`enter ${channel} ${member}`, `members ${channel}`);
  const reply = parseReply(first);
  if (reply.kind === "error" && reply.command === "enter") return notEntered(reply);
  const position = reply.kind === "members" ? reply.position : 0;
  expectLines([first, ...more], [`debug!members ${channel} ${position} 1`, `debug!member ${channel} ${member}`]);
  const since = `subscribe ${presenceOf(channel)} since ${position}`;
  const answers = await socket.repliesTo(since, `leave ${channel}`, `members ${channel}`);
  // The change and the replies may be received in any order.
  expectLines(answers.sort(), [
    `debug!members ${channel} ${position + 1} 0`,
    `debug!position ${presenceOf(channel)} ${position}`,
    `${presenceOf(channel)}!leave ${member}`,
  ]);
  return ok("a member that enters is listed, and its leaving is announced");
}

/** @throws Error if the server should have let the member enter */
function notEntered({ code, why }: Refusal): Finding {
  if (code === "forbidden" || code === "limit") return note(`not checked: ${why}`);
  if (code === "invalid") return note("the server has none, because it is older than this program");
  throw new Error(`the server refuses a member: ${why}`);
}
