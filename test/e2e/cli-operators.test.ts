/** `fanout revoke` and `fanout channels`, run as in a shell. */
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { EVERYTHING, mint, SECRET, seconds } from "../runtime/support/mint.ts";
import { run } from "./support/program.ts";
import { type Served, serve } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";

let server: Served;
let operator: string;

beforeAll(async () => {
  server = await serve({ settings: { TOKEN_SECRET: SECRET } });
  operator = await mint({ operate: true });
  return server.end;
});

/** Runs the program with an operator's token. */
const operate = (...words: string[]) => run(words, { env: { FANOUT_TOKEN: operator } });

async function connect(channel: string, sub: string): Promise<TestClient> {
  const token = await mint({ ...EVERYTHING, enter: ["*"], sub, iat: seconds() - 10 });
  const client = await TestClient.connect(`${server.url}/${channel}?token=${token}`);
  onTestFinished(() => client.close());
  return client;
}

test("the channels in use are listed, on as many pages as that takes", async () => {
  const ann = await connect("use-000", "ann");
  const others = Array.from({ length: 150 }, (_, i) => `use-${String(i + 1).padStart(3, "0")}`);
  ann.send(others.map((channel) => `subscribe ${channel}\n`).join(""));
  ann.send("enter use-000 ann\n");
  await ann.ping();
  const { code, out } = await operate("channels", server.url, "--prefix", "use-");
  const lines = out.trimEnd().split("\n");
  expect(code).toBe(0);
  expect(lines).toHaveLength(151);
  expect(lines[0]).toMatch(/^use-000\t1\t1\t\d+$/);
  expect(lines[150]).toMatch(/^use-150\t1\t0\t\d+$/);
  const json = await operate("channels", server.url, "--prefix", "use-000", "--json");
  expect(JSON.parse(json.out)).toEqual({
    channel: "use-000",
    subscribers: 1,
    members: 1,
    position: expect.any(Number),
  });
  expect(await operate("channels", server.url, "--prefix", "nothing")).toMatchObject({ code: 0, out: "" });
});

test("a revoked user is disconnected", async () => {
  const eve = await connect("room", "eve");
  const { code, out } = await operate("revoke", server.url, "eve");
  expect(code).toBe(0);
  expect(out).toMatch(/^revoked eve in \d+ objects\n$/);
  expect(await eve.closed).toMatchObject({ code: 1008, reason: "revoked: your token was revoked; get a new one" });
});

test("refusals and mistakes get one line", async () => {
  const lines = async (words: string[], env: Record<string, string> = { FANOUT_TOKEN: operator }) => {
    const { code, err } = await run(words, { env });
    return { code, err };
  };
  const guest = { FANOUT_TOKEN: await mint(EVERYTHING) };
  const refused = { code: 4, err: "fanout: your token lacks the claim 'operate'\n" };
  expect(await lines(["channels", server.url], guest)).toEqual(refused);
  expect(await lines(["revoke", server.url, "eve"], guest)).toEqual(refused);
  expect(await lines(["revoke", server.url])).toMatchObject({ code: 2 });
  expect(await lines(["revoke", server.url, "a", "b"])).toMatchObject({ code: 2 });
  expect(await lines(["revoke", server.url, ""])).toMatchObject({ code: 2 });
  expect(await lines(["channels", "http://localhost:1"])).toMatchObject({ code: 6 });
});
