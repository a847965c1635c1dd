/** Tokens as clients that are not ours hand them in, on a real server. */
import { createServer } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bearer, EVERYTHING, mint, SECRET, seconds, sign } from "../runtime/support/mint.ts";
import { listening } from "./support/listening.ts";
import { type Server, startServer } from "./support/server.ts";
import { type Options, type Refusal, refusal, TestClient } from "./support/test-client.ts";

let server: Server;
const handedOut: string[] = [];
const connections: TestClient[] = [];

beforeAll(async () => {
  // With room for so little, some connections go to children.
  server = await startServer({ TOKEN_SECRET: SECRET, SOCKETS_PER_OBJECT: "1" });
  return server.stop;
});

afterEach(() => {
  for (const connection of connections.splice(0)) connection.close();
});

async function issue(claims: Record<string, unknown> = EVERYTHING): Promise<string> {
  const token = await mint(claims, SECRET);
  handedOut.push(token);
  return token;
}

/** How a token is handed in. */
interface Handing {
  path: string;
  options?: Options;
}

const ways = [
  {
    way: "in the header",
    handing: (path: string, token: string): Handing => ({ path, options: { headers: bearer(token) } }),
    protocol: "",
  },
  {
    way: "in the subprotocols",
    handing: (path: string, token: string): Handing => ({
      path,
      options: { protocols: ["fanout", token] },
    }),
    protocol: "fanout",
  },
  {
    way: "in the address",
    handing: (path: string, token: string): Handing => ({ path: `${path}?token=${token}` }),
    protocol: "",
  },
];

/** A connection that has been greeted. */
async function connect({ path, options }: Handing, { url } = server): Promise<TestClient> {
  const connection = await TestClient.connect(url + path, options);
  connections.push(connection);
  return connection;
}

function refused({ path, options }: Handing, { url } = server): Promise<Refusal> {
  return refusal(url + path, options);
}

describe.each(ways)("a token $way", ({ handing, protocol }) => {
  test("lets in", async () => {
    const connection = await connect(handing("/news", await issue()));
    expect(connection.socket.protocol).toBe(protocol);
    connection.send("announce news hello");
    expect(await connection.line()).toBe("news!hello");
  });

  test("that is not good, or not for this channel, does not", async () => {
    const forged = await mint(EVERYTHING, `${SECRET}x`);
    handedOut.push(forged);
    expect(await refused(handing("/", forged))).toEqual({
      status: 401,
      body: "The token's signature is wrong.\n",
    });
    const elsewhere = handing("/news", await issue({ subscribe: ["sport"] }));
    expect(await refused(elsewhere)).toEqual({
      status: 403,
      body: "Your token doesn't grant this channel.\n",
    });
  });
});

test("without a token nobody comes in, with a connection or without", async () => {
  const { status, body } = await refused({ path: "/" });
  expect([status, body]).toEqual([401, expect.stringMatching(/^A token is missing; send it as/)]);
  const response = await fetch(server.url);
  expect([response.status, await response.text()]).toEqual([401, body]);
  expect(response.headers.get("WWW-Authenticate")).toBe("Bearer");
});

test("connections of one channel are closed when their tokens expire, in each object, and no others", async () => {
  const path = "/expiring";
  const { until, brief } = await connectBriefly(path);
  const stays = await connect({ path, options: { headers: bearer(await issue()) } });
  const reason = "expired: your token has expired; connect again with a new one";
  for (const { closed } of brief) expect(await closed).toEqual({ code: 1008, reason });
  // Not sooner than they may be.
  expect(Date.now()).toBeGreaterThanOrEqual(until);
  stays.send("announce expiring over");
  expect(await stays.line()).toBe("expiring!over");
});

/**
 * Two connections whose tokens end at a time, in milliseconds since 1970: as soon as this machine, however
 * busy, can connect two before that.
 */
async function connectBriefly(path: string): Promise<{ until: number; brief: TestClient[] }> {
  for (let left = 2; ; left *= 2) {
    const until = seconds() + left;
    // Five seconds are added to what a token says.
    const token = await issue({ ...EVERYTHING, exp: until - 5 });
    const handing = { path, options: { headers: bearer(token) } };
    const brief = await Promise.all([connect(handing), connect(handing)]).catch(() => []);
    if (brief.length > 0 && Date.now() < until * 1000) return { until: until * 1000, brief };
    if (Date.now() < until * 1000) throw new Error("a token that has not expired yet is refused");
  }
}

test("no token is in the server's output", async () => {
  await fetch(`${server.url}/the/last?token=${await issue()}`);
  await server.wrote("/the/last");
  expect(handedOut.length).toBeGreaterThan(10);
  for (const token of handedOut) expect(server.output()).not.toContain(token);
  expect(server.output()).not.toContain(SECRET);
  expect(server.output()).not.toMatch(/uncaught/i);
});

test("public keys are fetched once for connections and renewals", async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const jwk = await exportJWK(publicKey);
  let asked = 0;
  const keys = createServer((_, response) => {
    asked += 1;
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ keys: [jwk] }));
  });
  const url = await listening(keys);
  const issuer = "https://issuer.test";
  const settings = { TOKEN_JWKS_URL: `${url}/keys`, TOKEN_AUDIENCE: "fanout", TOKEN_ISSUER: issuer };
  const locked = await startServer(settings);
  onTestFinished(async () => {
    await locked.stop();
    keys.close();
  });
  const sealed = (claims: object) => sign({ alg: "RS256" }, { ...EVERYTHING, ...claims }, privateKey);
  const token = await sealed({ aud: "fanout", iss: issuer });
  const handing = { path: "/news", options: { protocols: ["fanout", token] } };
  const connection = await connect(handing, locked);
  await connect(handing, locked);
  connection.send(`token ${await sealed({ aud: ["other", "fanout"], iss: issuer })}`);
  expect(await connection.line()).toMatch(/^debug!token accepted until \d+$/);
  expect(asked).toBe(1);
  // What the same issuer has signed for others is good for them alone.
  for (const claims of [{}, { aud: "other", iss: issuer }, { aud: "fanout", iss: "https://other.test" }]) {
    const other = { path: "/news", options: { protocols: ["fanout", await sealed(claims)] } };
    expect(await refused(other, locked)).toMatchObject({ status: 401 });
  }
  const forged = { path: "/news", options: { protocols: ["fanout", await mint(EVERYTHING)] } };
  expect(await refused(forged, locked)).toMatchObject({ status: 401 });
});
