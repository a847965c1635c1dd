/** A channel, and `all`, that outgrow their objects, in the bare runtime. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { serveInTest } from "./support/serve.ts";
import { connectAll, type TestClient } from "./support/test-client.ts";
import { lacks } from "./support/tools.ts";

/** Returns the reply to `info`. */
async function info(client: TestClient): Promise<Record<string, string>> {
  client.send("info");
  const lines = await client.ping();
  return Object.fromEntries(lines.map((line) => line.split(": ")));
}

/** So many connections need a tree of ten objects. */
const CROWD = 9_000;

/** Each connection takes two of the runtime's open files, besides its own. */
const FILES_NEEDED = 2 * CROWD + 600;

/** The open files that this machine allows a process, as text: a number, or "unlimited". */
const FILES = execFileSync("sh", ["-c", "ulimit -n 65536 2>/dev/null; ulimit -Hn"], { encoding: "utf8" }).trim();
const isRoomy = FILES === "unlimited" || Number(FILES) >= FILES_NEEDED;
if (!isRoomy) lacks(`a process may open ${FILES} files, and this test needs ${FILES_NEEDED}: raise \`ulimit -Hn\``);

test.skipIf(!isRoomy)(
  `${CROWD} connections on one channel receive a thousand messages from many of them in one order`,
  {
    tags: ["any-size", "order-shared"],
    timeout: 600_000,
  },
  async () => {
    const runtime = await serveInTest({ settings: { SOCKETS_PER_OBJECT: "1000" } });
    const clients = await connectAll(
      runtime.url,
      Array.from({ length: CROWD }, () => "/crowd"),
    );
    const [first] = clients;
    if (!first) throw new Error("the clients are missing");
    expect(await info(first)).toMatchObject({
      "current connections": String(CROWD),
      "current channels": "2",
      "user-requested subscriptions": String(CROWD),
      objects: String(Math.ceil(CROWD / 1_000)),
      "unreachable objects": "0",
    });
    for (let i = 0; i < 1_000; i++) clients[(i * 37) % clients.length]?.send(`announce crowd ${i}`);
    const order = (await first.read(1_000)).join("\n");
    expect(new Set(order.split("\n")).size).toBe(1_000);
    for (const client of clients.slice(1)) expect((await client.read(1_000)).join("\n")).toBe(order);
    for (const client of clients) client.close();
  },
);

test("500 channels receive `all` once each through objects with 16 links, also after a power failure", {
  timeout: 600_000,
}, async () => {
  const runtime = await serveInTest({ settings: { LINKS_PER_OBJECT: "16" } });
  const paths = Array.from({ length: 1_000 }, (_, i) => `/room${i % 500}`);
  for (let round = 0; round < 2; round++) {
    if (round > 0) await runtime.restart();
    const clients = await connectAll(runtime.url, paths);
    const [first] = clients;
    if (!first) throw new Error("the clients are missing");
    // On a busy machine some clients are greeted before their object has joined `all`; the ping waits for that.
    for (const client of clients) client.send("subscribe all");
    await Promise.all(clients.map((client) => client.ping()));
    first.send("announce all one\nannounce all two\nannounce room499 three");
    for (const [i, client] of clients.entries()) {
      const expected = ["all!one", "all!two", ...(i % 500 === 499 ? ["room499!three"] : [])];
      const read = await client.read(expected.length);
      // Only messages of one channel have an order.
      expect(read.filter((line) => line.startsWith("all!"))).toEqual(expected.slice(0, 2));
      expect(read.toSorted()).toEqual(expected);
    }
    expect(await info(first)).toMatchObject({
      "current connections": "1000",
      "current channels": "501",
      objects: "500",
      "unreachable objects": "0",
    });
    // Some of these are in flight when the power fails.
    for (const client of clients.slice(0, 100)) client.send("announce all lost");
    await first.read(1);
    await runtime.kill();
    await Promise.all(clients.map(({ closed }) => closed));
  }
});
