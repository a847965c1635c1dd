/** Checks that the server retains messages, and deduplicates them by key. */
import { randomUUID } from "node:crypto";
import { parseReply } from "../../protocol/replies.ts";
import type { RawSocket } from "../raw-socket.ts";
import { type Check, expectLines, note, ok } from "./findings.ts";
import { newChannel } from "./target.ts";
import { withSocket } from "./transcripts.ts";

const REMEDY = "see in the server's log (npx wrangler tail) whether rows are refused";

export const history: Check = {
  name: "history",
  needs: "sockets",
  remedy: REMEDY,
  run: (target) =>
    withSocket(target, async (socket) => {
      const channel = newChannel();
      const [answer = "", ...more] = await socket.repliesTo(`subscribe ${channel} since now`);
      const reply = parseReply(answer);
      if (reply.kind === "error" && reply.code === "no-history") {
        return note(
          "no messages are retained, so reconnecting clients miss some; set HISTORY_SECONDS and HISTORY_CHANNELS",
        );
      }
      if (reply.kind !== "position") expectLines([answer, ...more], [`debug!position ${channel} …`]);
      target.has.add("history");
      return ok("messages are retained for clients that reconnect");
    }),
};

export const once: Check = {
  name: "once",
  needs: "history",
  remedy: REMEDY,
  run: (target) =>
    withSocket(target, async (socket, channel) => {
      const key = randomUUID();
      const command = `once ${key} ${channel} hello`;
      const answers = await socket.repliesTo(command, command);
      const positions = answers.map(parseReply).flatMap((reply) => (reply.kind === "once" ? [reply.position] : []));
      const again = `debug!once ${key} ${positions[0] ?? "…"}`;
      // The message and the first reply may be received in any order.
      expectLines([...answers].sort(), [again, again, `${channel}!hello`]);
      return ok("the same key announces once, at one position");
    }),
};

export const resume: Check = {
  name: "resume",
  needs: "history",
  remedy: REMEDY,
  async run(target) {
    const channel = newChannel();
    const before = await target.socket(channel, { since: "now" });
    const position = await readPosition(before);
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
  },
};

/** Reads the position at which a connection starts. @throws Error if the server doesn't send it */
async function readPosition(socket: RawSocket): Promise<number> {
  const line = await socket.line();
  const reply = parseReply(line);
  if (reply.kind === "position") return reply.position;
  throw new Error(`the server answers '${line}' instead of a position`);
}
