/**
 * The service under rules that the platform enforces and the local runtime does not (`strict-worker.js`). The depth of
 * the deepest call is printed, because the platform ends chains of more than 16.
 */
import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runCase } from "../conformance/case.ts";
import { cases } from "../conformance/transcripts.ts";
import { type Served, serve } from "./support/serve.ts";
import { connectAll, TestClient } from "./support/test-client.ts";
import { webSocketsTo } from "./support/websockets.ts";

/** The maximum that `src/tree/peers.ts` guarantees. */
const DEEPEST = 7;

let around: string;

beforeAll(async () => {
  around = await readFile(new URL("support/strict-worker.js", import.meta.url), "utf8");
});

/** With the second, every message passes through a chain of objects, so the same chat would take ten times as long. */
const servers = [
  { title: "with default settings", settings: {}, answers: 2_000 },
  {
    title: "with channel for one connection and one link in each object",
    settings: { SOCKETS_PER_OBJECT: "1", LINKS_PER_OBJECT: "1" },
    answers: 500,
  },
];

for (const { title, settings, answers } of servers) {
  describe(title, () => {
    let runtime: Served;
    let depth = 0;
    const violations: string[] = [];

    beforeAll(async () => {
      const onLine = (line: string) => {
        depth = Math.max(depth, Number(/depth (\d+)/.exec(line)?.[1] ?? 0));
        if (line.includes("violation: ")) violations.push(line);
      };
      runtime = await serve({ settings, around, onLine });
    });

    afterAll(async () => {
      await runtime.end();
      console.log(`${title}: deepest call ${depth}`);
    });

    afterEach(() => {
      expect([...new Set(violations.splice(0))]).toEqual([]);
      expect(depth).toBeLessThanOrEqual(DEEPEST);
    });

    for (const testCase of cases) test(testCase.title, () => runCase(testCase, webSocketsTo(runtime.url)));

    test("one frame of 40 announcements that alternate between channels", async () => {
      const channels = (among: number) => Array.from({ length: among }, (_, i) => `lane${i}`);
      for (const among of [2, 40]) {
        const client = await TestClient.connect(runtime.url);
        client.send(
          channels(among)
            .map((channel) => `subscribe ${channel}`)
            .join("\n"),
        );
        await client.ping();
        const sent = Array.from({ length: 40 }, (_, i) => `lane${i % among} ${i}`);
        client.send(sent.map((message) => `announce ${message}`).join("\n"));
        expect(await client.ping()).toEqual(sent.map((message) => message.replace(" ", "!")));
        client.close();
      }
    });

    test("40 clients connected to 8 channels, each subscribed to 3, reply to every message", async () => {
      await chat(runtime.url, 40, 8, answers);
    });

    test("40 clients connected to 8 channels enter, leave and chat, and one follows the members of all", async () => {
      await comeAndGo(runtime.url, 40, 8, answers / 100);
    });
  });
}

/** Runs clients that subscribe to three channels each, and reply to each message on another of theirs. */
async function chat(url: string, count: number, homes: number, answers: number): Promise<void> {
  const clients = await connectAll(
    url,
    Array.from({ length: count }, (_, i) => `/home${i % homes}`),
  );
  const channelsOf = (i: number) => [0, 1, 2].map((n) => `home${(i + n) % homes}`);
  for (const [i, client] of clients.entries()) {
    client.send(
      channelsOf(i)
        .map((channel) => `subscribe ${channel}`)
        .join("\n"),
    );
    await client.ping();
  }
  let sent = 0;
  await Promise.all(
    clients.map(async (client, i) => {
      while (sent < answers) {
        const channel = channelsOf(i)[sent % 3];
        sent += 1;
        client.send(`announce ${channel} by ${i}: ${sent}`);
        await client.line();
      }
    }),
  );
  await Promise.all(clients.map((client) => client.ping()));
  for (const client of clients) client.close();
}

/**
 * Runs clients that enter the next channel, announce on it and leave it, in several rounds, and stay in the last one. A
 * watcher follows the members of all channels, and has the list at the end.
 */
async function comeAndGo(url: string, count: number, homes: number, rounds: number): Promise<void> {
  const channels = Array.from({ length: homes }, (_, i) => `crowd${i}`);
  const watcher = await TestClient.connect(url);
  const members = new Map(channels.map((channel) => [`presence/${channel}`, new Set<string>()]));
  watcher.send(channels.map((channel) => `subscribe presence/${channel}`).join("\n"));
  await watcher.ping();
  const clients = await connectAll(
    url,
    Array.from({ length: count }, (_, i) => `/crowd${i % homes}`),
  );
  await Promise.all(
    clients.map(async (client, i) => {
      for (let round = 0; round < rounds; round++) {
        const channel = channels[(i + round) % homes];
        client.send(`enter ${channel} member${i} round ${round}\nannounce ${channel} by ${i}\n`);
        expect(errorsIn(await client.ping())).toEqual([]);
        if (round === rounds - 1) break;
        client.send(`leave ${channel}\n`);
        expect(errorsIn(await client.ping())).toEqual([]);
      }
    }),
  );
  for (const line of await watcher.ping()) {
    const [, channel = "", kind, member = ""] = /^(.+)!(enter|leave) (\S+)/.exec(line) ?? [];
    const present = members.get(channel);
    if (!present) continue;
    expect([line, present.has(member)]).toEqual([line, kind === "leave"]);
    if (kind === "enter") present.add(member);
    else present.delete(member);
  }
  for (const [i, channel] of channels.entries()) {
    const expected = clients.flatMap((_, n) => ((n + rounds - 1) % homes === i ? [`member${n}`] : [])).sort();
    watcher.send(`members ${channel}\n`);
    const [, ...listed] = await watcher.ping();
    expect(listed.map((line) => line.split(" ")[2])).toEqual(expected);
    expect([...(members.get(`presence/${channel}`) ?? [])].sort()).toEqual(expected);
  }
  for (const client of [...clients, watcher]) client.close();
}

function errorsIn(lines: string[]): string[] {
  return lines.filter((line) => line.startsWith("debug!"));
}
