/** `fanout bench`, with servers that lose messages and servers that don't. */
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { mint, SECRET } from "../runtime/support/mint.ts";
import { startFake } from "./support/fake-server.ts";
import { run, start } from "./support/program.ts";
import { serveInTest } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

const flawless = { lost: 0, repeated: 0, outOfOrder: 0, closed: 0 };

test("every connection receives all messages once and in order", async () => {
  const { url } = await serveInTest();
  const words = ["bench", url, "--connections", "20", "--rate", "50", "--seconds", "1"];
  const { code, out } = await run([...words, "--json"]);
  const report = JSON.parse(out);
  expect([code, report]).toEqual([0, expect.objectContaining({ connections: 20, due: 50, ...flawless })]);
  expect(report.announced).toBeGreaterThan(0);
  expect(report.delivered).toBe(20 * report.announced);
  const { median, percentile95, percentile99, largest } = report.latency;
  const sorted = [median, percentile95, percentile99, largest].sort((a, b) => a - b);
  expect([median, percentile95, percentile99, largest]).toEqual(sorted);
  const lines = (await run(words)).out.trimEnd().split("\n");
  expect(lines.map((line) => line.slice(0, 14).trimEnd())).toEqual([
    "connections",
    "announced",
    "delivered",
    "latency",
    "lost",
    "repeated",
    "out of order",
    "closed",
  ]);
});

test("bench needs no history, and uses the token", async () => {
  const settings = { TOKEN_SECRET: SECRET, HISTORY_SECONDS: "0" };
  const { url } = await serveInTest({ settings });
  const words = ["bench", url, "--connections", "2", "--seconds", "1", "--channel", "mine"];
  const env = { FANOUT_TOKEN: await mint({ subscribe: ["mine"], announce: ["mine"] }) };
  expect(await run(words, { env })).toMatchObject({ code: 0, err: "" });
  expect(await run(words)).toMatchObject({
    code: 4,
    out: "",
    err: expect.stringMatching(/^fanout: a token is missing; send it as/),
  });
  const mute = { FANOUT_TOKEN: await mint({ subscribe: ["mine"] }) };
  expect(await run(words, { env: mute })).toMatchObject({
    code: 4,
    err: "fanout: your token doesn't grant this channel\n",
  });
});

test("lost, repeated and reordered messages are counted", async () => {
  const spoil = () => {
    let held: string[] = [];
    return (line: string) => {
      const number = /^mine!(\d+) /.exec(line)?.[1];
      const before = held;
      held = number === "10" ? [line] : [];
      if (number === "5" || number === "10") return [];
      return number === "7" ? [line, line] : [line, ...before];
    };
  };
  const url = await startFake({ spoil });
  const words = ["--connections", "2", "--seconds", "1", "--timeout", "1", "--channel", "mine", "--json"];
  const { code, out } = await run(["bench", url, ...words]);
  expect([code, JSON.parse(out)]).toEqual([
    3,
    expect.objectContaining({ lost: 2, repeated: 2, outOfOrder: 2, closed: 0 }),
  ]);
});

test("closed connections and missing announcements are counted", async () => {
  const runtime = await serveInTest();
  const listener = await TestClient.connect(`${runtime.url}/mine`);
  const words = ["--connections", "3", "--seconds", "4", "--timeout", "1", "--channel", "mine", "--json"];
  const child = start(["bench", runtime.url, ...words]);
  const [ended, out] = [once(child, "exit"), text(child.stdout)];
  await listener.line();
  await runtime.kill();
  const report = JSON.parse(await out);
  expect([(await ended)[0], report.closed]).toEqual([3, 4]);
  expect(report.announced).toBeLessThan(report.due);
});

test("--size has to leave room for the number and the time", async () => {
  const { code, err } = await run(["bench", "ws://localhost", "--size", "10"]);
  expect([code, err]).toEqual([2, "fanout: --size is too small; it takes 32 bytes or more\n"]);
});
