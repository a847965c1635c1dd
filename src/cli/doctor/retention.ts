/** Checks that the server retains messages, and deduplicates them by key. */
import { randomUUID } from "node:crypto";
import { parseReply } from "../../protocol/replies.ts";
import type { RawSocket } from "../raw-socket.ts";
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
