/** Tokens of third-party clients, with a real server. */
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
  // Objects have so little room that some connections go to children.
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

/** A way to send a token. */
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

/** Connects, and reads the greeting. */
async function connect({ path, options }: Handing, { url } = server): Promise<TestClient> {
  const connection = await TestClient.connect(url + path, options);
  connections.push(connection);
  return connection;
}

function refused({ path, options }: Handing, { url } = server): Promise<Refusal> {
  return refusal(url + path, options);
}

describe.each(ways)("a token $way", ({ handing, protocol }) => {
  test("is accepted", async () => {
    const connection = await connect(handing("/news", await issue()));
    expect(connection.socket.protocol).toBe(protocol);
    connection.send("announce news hello");
    expect(await connection.line()).toBe("news!hello");
  });

  test("that is invalid, or doesn't grant this channel, is refused", async () => {
    const forged = await mint(EVERYTHING, `${SECRET}x`);
    handedOut.push(forged);
    expect(await refused(handing("/", forged))).toEqual({
      status: 401,
      body: "The token's signature is wrong; sign it with the key of this server.\n",
    });
    const elsewhere = handing("/news", await issue({ subscribe: ["sport"] }));
    expect(await refused(elsewhere)).toEqual({
      status: 403,
      body: "Your token doesn't grant this channel; its claim 'subscribe' has to list it.\n",
    });
  });
});

test("connections and requests without a token are refused", async () => {
  const { status, body } = await refused({ path: "/" });
  expect([status, body]).toEqual([401, expect.stringMatching(/^A token is missing; send it as/)]);
  const response = await fetch(server.url);
  expect([response.status, await response.text()]).toEqual([401, body]);
  expect(response.headers.get("WWW-Authenticate")).toBe("Bearer");
});

test("connections at all objects of a channel are closed when their tokens expire, and no others", async () => {
  const path = "/expiring";
  const { until, brief } = await connectBriefly(path);
  const stays = await connect({ path, options: { headers: bearer(await issue()) } });
  const reason = "expired: your token has expired; connect again with a new one";
  for (const { closed } of brief) expect(await closed).toEqual({ code: 1008, reason });
  // Not too early.
  expect(Date.now()).toBeGreaterThanOrEqual(until);
  stays.send("announce expiring over");
  expect(await stays.line()).toBe("expiring!over");
});

/**
 * Opens two connections whose tokens expire at `until`, in milliseconds since 1970: as soon as possible, but late enough
 * for both to connect on a busy machine.
 */
async function connectBriefly(path: string): Promise<{ until: number; brief: TestClient[] }> {
  for (let left = 2; ; left *= 2) {
    const until = seconds() + left;
    // Clock skew adds five seconds to a token's expiry.
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
  // Tokens that the issuer signed for other services aren't valid here.
  for (const claims of [{}, { aud: "other", iss: issuer }, { aud: "fanout", iss: "https://other.test" }]) {
    const other = { path: "/news", options: { protocols: ["fanout", await sealed(claims)] } };
    expect(await refused(other, locked)).toMatchObject({ status: 401 });
  }
  const forged = { path: "/news", options: { protocols: ["fanout", await mint(EVERYTHING)] } };
  expect(await refused(forged, locked)).toMatchObject({ status: 401 });
});
