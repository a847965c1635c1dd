/** How often calls to unreachable objects are repeated: a few times at once, and then ever more rarely for as long as it takes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type MeteredClient, MeteredService } from "./metered.ts";

/** In milliseconds; a day, during which nothing else happens. */
const DAY = 86_400_000;

/** Returns a service in which two clients at `a` are connected, one of them subscribed to `b`. */
async function start(): Promise<{ service: MeteredService; client: MeteredClient }> {
  const service = new MeteredService();
  const client = await service.connect("a");
  for (const home of ["b", "c"]) await service.connect(home);
  await service.send(await service.connect("a"), ["subscribe b", "announce b 1"]);
  service.takeCosts();
  client.take();
  return { service, client };
}

/** Commands whose object is unreachable: the calls at once, those in the rest of a day, and what the client is told. */
const COMMANDS: [line: string, atOnce: Record<string, number>, later: Record<string, number>, reply: RegExp][] = [
  ["announce b x", { forward: 1 }, {}, /^debug!error uncertain announce b: /],
  ["once k b x", { forward: 1 }, {}, /^debug!error uncertain once k: /],
  ["subscribe c", { link: 5, unlink: 10 }, { unlink: 730 }, /^debug!error unavailable subscribe c: /],
  ["subscribe c last 5", { link: 5, unlink: 10 }, { unlink: 730 }, /^debug!error unavailable subscribe c: /],
  ["subscribe b since 0", { recover: 5 }, {}, /^debug!error unavailable subscribe b: /],
  ["members b", { members: 1 }, {}, /^debug!error unavailable members b: /],
  ["enter b ann x", { present: 20 }, { present: 725 }, /^debug!error unavailable enter b: /],
  ["info", { serviceFigures: 1 }, {}, /^debug!error unavailable info: /],
];

test.each(COMMANDS)("%s, while its object is unreachable", async (line, atOnce, later, reply) => {
  const { service, client } = await start();
  for (const name of ["b", "c", "presence/b", "all"]) service.cutOff(name, 2 * DAY);
  await service.send(client, [line]);
  expect(service.takeCosts()).toMatchObject({ calls: {}, failed: atOnce });
  expect(client.take()).toEqual([expect.stringMatching(reply)]);
  await service.pass(DAY);
  const { failed } = service.takeCosts();
  expect(Object.keys(failed)).toEqual(Object.keys(later));
  // The first attempts fall into different seconds.
  for (const [kind, count = 0] of Object.entries(failed)) expect(Math.abs(count - (later[kind] ?? 0))).toBeLessThan(20);
  expect([client.closed, client.take()]).toEqual([undefined, []]);
});

test("a day of retrying takes as many rows as documented, and ends when the object is reachable", async () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/architecture.md"), "utf8").replaceAll("\n", " ");
  const [, documented, ofMembers] =
    /a day of retrying takes about 150 attempts and (\d+) rows, or (\d+) for/.exec(page) ?? [];
  const rows: number[] = [];
  for (const line of ["subscribe c", "enter b ann x"]) {
    const { service, client } = await start();
    for (const name of ["c", "presence/b"]) service.cutOff(name, DAY);
    await service.send(client, [line]);
    await service.pass(DAY - 60_000);
    rows.push(service.takeCosts().rows);
    // The longest delay between two attempts is ten minutes.
    await service.pass(720_000);
    service.takeCosts();
    await service.pass(DAY);
    expect(service.takeCosts()).toMatchObject({ calls: {}, failed: {} });
  }
  expect(rows.map((count) => 10 * Math.round(count / 10))).toEqual([Number(documented), Number(ofMembers)]);
});
