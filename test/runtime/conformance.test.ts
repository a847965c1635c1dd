import { exports } from "cloudflare:workers";
import { describe, test } from "vitest";
import { type Connect, runCase } from "../conformance/case.ts";
import { cases } from "../conformance/transcripts.ts";

const connect: Connect = async (path, receiver) => {
  const response = await exports.default.fetch(`http://fanout${path}`, { headers: { Upgrade: "websocket" } });
  const socket = response.webSocket;
  if (!socket) throw new Error(`${path} is answered with ${response.status}: ${await response.text()}`);
  socket.addEventListener("message", ({ data }) => receiver.frame(data));
  const closed = new Promise<void>((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => {
      receiver.closed(code, reason);
      resolve();
    });
  });
  socket.accept();
  return {
    send: (frame) => socket.send(frame),
    close: () => {
      socket.close(1000);
      return closed;
    },
  };
};

describe("in the runtime", () => {
  for (const testCase of cases) test(testCase.title, { tags: testCase.tags ?? [] }, () => runCase(testCase, connect));
});
