/** The judge of the fault kit tells a server that hangs from one that is killed. */
import { createServer, type RequestListener, type Server } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { Follower, Requests } from "../../../tools/faults/requests.ts";
import { listening } from "../../e2e/support/listening.ts";

/** For servers that never answer, and others. */
const SHORT = { answer: 50, available: 200 };
const LONG = { answer: 60_000, available: 60_000 };

/** Serves requests; `life` is what the kit says of the server. */
async function judge(patience: typeof LONG, answer: RequestListener) {
  const server: Server = createServer(answer);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = await listening(server);
  const state: { life: number | undefined } = { life: 1 };
  const requests = new Requests({ url: () => url, life: () => state.life }, patience);
  return { server, state, requests, follower: new Follower(requests, "said", 5) };
}

test("a poll or an announcement without an answer fails while the server runs", async () => {
  const { requests, follower } = await judge(SHORT, () => {});
  await expect(follower.poll()).rejects.toThrow("the server ran, but didn't answer a poll of 'said' in 0.05 s");
  await expect(requests.post("said", "1")).rejects.toThrow("didn't answer the announcement of '1'");
});

test("an answer that never ends fails, too", async () => {
  const { follower } = await judge(SHORT, (_, response) => response.write("said!1\n"));
  await expect(follower.poll()).rejects.toThrow("the server ran, but didn't answer");
});

test("an answer that is missing because the server was killed is no failure", async () => {
  const { state, follower } = await judge(SHORT, () => {
    state.life = 2;
  });
  await follower.poll();
  expect(follower.lines).toEqual([]);
});

test("requests that a kill interrupts are made again", async () => {
  let asked = 0;
  const { requests, follower } = await judge(LONG, (request, response) => {
    asked += 1;
    if (asked <= 2) request.socket.destroy();
    if (asked === 3) response.writeHead(503).end("starting");
    if (asked > 3) response.setHeader("Fanout-Position", 7).end('said!6\nsaid!7\n{"position":7}');
  });
  await follower.poll();
  await follower.poll();
  await follower.poll();
  expect({ asked, lines: follower.lines }).toEqual({ asked: 3, lines: [] });
  expect(await requests.post("said", "7", "key")).toBe(7);
});

test("a follower collects messages, and any other line unchanged", async () => {
  const asked: (string | undefined)[] = [];
  const { follower } = await judge(LONG, (request, response) => {
    asked.push(request.url);
    response
      .setHeader("Fanout-Position", 5 + asked.length)
      .end(asked.length === 1 ? "said!6\n" : "debug!gap said 6 7\n");
  });
  await follower.poll();
  await follower.poll();
  expect(asked).toEqual(["/said?poll&since=5", "/said?poll&since=6"]);
  expect(follower.lines).toEqual(["6", "debug!gap said 6 7"]);
});

test("a server that refuses a request, or is unavailable for too long, fails the trial", async () => {
  let status = 400;
  const { requests } = await judge({ ...SHORT, answer: LONG.answer }, (_, response) =>
    response.writeHead(status).end("no"),
  );
  await expect(requests.post("said", "1")).rejects.toThrow("the server refused the announcement of '1': 400 no");
  status = 503;
  await expect(requests.post("said", "1")).rejects.toThrow("the server was unavailable for 0.2 s");
});
