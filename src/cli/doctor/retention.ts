/** Whether a server keeps messages for who was away, and knows what was announced before. */
import { randomUUID } from "node:crypto";
import { parseReply } from "../../protocol/replies.ts";
import type { Wire } from "../raw-socket.ts";
import { type Check, expectLines, note, ok } from "./findings.ts";
import { newChannel } from "./target.ts";
import { onWire } from "./transcripts.ts";

const REMEDY = "see in its log (npx wrangler tail) whether rows are refused";

export const history: Check = {
  name: "history",
  needs: "sockets",
  remedy: REMEDY,
  look: (patient) =>
    onWire(patient, async (wire) => {
      const channel = newChannel();
      const [answer = "", ...more] = await wire.answersTo(`subscribe ${channel} since now`);
      const reply = parseReply(answer);
      if (reply.kind === "error" && reply.code === "no-history") {
        return note(
          "none is kept, so who was away misses what came; HISTORY_SECONDS and HISTORY_CHANNELS keep it",
        );
      }
      if (reply.kind !== "position") expectLines([answer, ...more], [`debug!position ${channel} …`]);
      patient.has.add("history");
      return ok("messages are kept for who was away");
    }),
};

export const once: Check = {
  name: "once",
  needs: "history",
  remedy: REMEDY,
  look: (patient) =>
    onWire(patient, async (wire, channel) => {
      const key = randomUUID();
      const command = `once ${key} ${channel} hello`;
      const answers = await wire.answersTo(command, command);
      const positions = answers
        .map(parseReply)
        .flatMap((reply) => (reply.kind === "once" ? [reply.position] : []));
      const again = `debug!once ${key} ${positions[0] ?? "…"}`;
      // The message and the first answer have no order between them.
      expectLines([...answers].sort(), [again, again, `${channel}!hello`]);
      return ok("the same key twice announces once, at one position");
    }),
};

export const resume: Check = {
  name: "resume",
  needs: "history",
  remedy: REMEDY,
  async look(patient) {
    const channel = newChannel();
    const before = await patient.wire(channel, { since: "now" });
    const position = await positionBy(before);
    expectLines(await before.answersTo(`announce ${channel} one`), [`${channel}!one`]);
    before.close();
    await onWire(patient, (other) => other.answersTo(`announce ${channel} two`, `announce ${channel} three`));
    const after = await patient.wire(channel, { since: String(position + 1) });
    try {
      expectLines(await after.answersTo(), [
        `debug!position ${channel} ${position + 1}`,
        `${channel}!two`,
        `${channel}!three`,
      ]);
    } finally {
      after.close();
    }
    return ok("who comes back reads exactly what was missed");
  },
};

/** Where a connection begins. @throws Error if it is not told */
async function positionBy(wire: Wire): Promise<number> {
  const line = await wire.line();
  const reply = parseReply(line);
  if (reply.kind === "position") return reply.position;
  throw new Error(`it answers '${line}' instead of a position`);
}
