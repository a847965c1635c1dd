import { once } from "node:events";
import { beforeAll, describe, test } from "vitest";
import { WebSocket } from "ws";
import { type Connect, PLAY_TIMEOUT, perform } from "../plays/play.ts";
import { plays } from "../plays/transcripts.ts";
import { type Server, startServer } from "./server.ts";

let server: Server;

beforeAll(async () => {
  server = await startServer();
  return server.stop;
});

const connect: Connect = async (path, ear) => {
  const socket = new WebSocket(server.url + path);
  socket.on("message", (data, isBinary) => ear.frame(isBinary ? data : data.toString()));
  const closed = new Promise<void>((resolve) => {
    socket.on("close", (code, reason) => {
      ear.closed(code, reason.toString());
      resolve();
    });
  });
  await once(socket, "open");
  return {
    send: (frame) => socket.send(frame),
    close: () => {
      socket.close(1000);
      return closed;
    },
  };
};

describe("through wrangler dev", { timeout: PLAY_TIMEOUT }, () => {
  for (const play of plays) test(play.title, () => perform(play, connect));
});
