/** A connection whose attachment the runtime rejects. */
import { expect, test } from "vitest";
import { settled } from "../settled.ts";
import { ClientSocket } from "../sockets.ts";
import { objectOf } from "./object.ts";

class Unkept extends ClientSocket {
  override serializeAttachment(attachment: unknown): void {
    if (JSON.stringify(attachment).includes("unkept")) throw new Error("too long");
    super.serializeAttachment(attachment);
  }
}

test("a connection whose state can't be stored is closed, and no other", {
  tags: ["close-unkept"],
}, async () => {
  const present = async () => ({ refused: [], position: 1, isNew: false });
  const { broker, open } = objectOf({ others: { present } });
  const sound = await open();
  const socket = new Unkept();
  broker.opened(socket, "");
  await settled();
  broker.received(socket, "enter room ann unkept");
  broker.received(sound, "announce all hello");
  await settled();
  expect(socket.closed).toBe("unavailable: the server can't store this connection's subscriptions; connect again");
  expect(sound.closed).toBeUndefined();
  expect(sound.lines).toContain("all!hello");
});
