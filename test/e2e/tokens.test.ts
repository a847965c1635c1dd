/** Tokens as clients that are not ours hand them in, on a real server. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { exportJWK, generateKeyPair } from "jose";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { bearer, EVERYTHING, mint, seconds, sign } from "../mint.ts";
import { type Server, startServer } from "./server.ts";

const ROOT = new URL("../../", import.meta.url);

/** What README.md says makes a token. */
const recipe = (await readFile(new URL("README.md", ROOT), "utf8"))
  .split("```")
  .find((block) => block.startsWith("sh\n") && block.includes("SignJWT"))
  ?.slice("sh\n".length);
const [, secret = ""] = /TOKEN_SECRET=(\S+)/.exec(recipe ?? "") ?? [];

let server: Server;
const handedOut: string[] = [];
const sockets: WebSocket[] = [];

beforeAll(async () => {
  // With room for so little, some connections go to children.
  server = await startServer({ TOKEN_SECRET: secret, SOCKETS_PER_OBJECT: "1" });
  return server.stop;
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
});

async function issue(claims: Record<string, unknown> = EVERYTHING): Promise<string> {
  const token = await mint(claims, secret);
  handedOut.push(token);
  return token;
}

interface Handing {
  path: string;
  protocols: string[];
  options: ClientOptions;
}

const ways = [
  {
    way: "in the header",
    handing: (path: string, token: string): Handing => ({
      path,
      protocols: [],
      options: { headers: bearer(token) },
    }),
    protocol: "",
  },
  {
    way: "in the subprotocols",
    handing: (path: string, token: string): Handing => ({ path, protocols: ["fanout", token], options: {} }),
    protocol: "fanout",
  },
  {
    way: "in the address",
    handing: (path: string, token: string): Handing => ({
      path: `${path}?token=${token}`,
      protocols: [],
      options: {},
    }),
    protocol: "",
  },
];

function open({ path, protocols, options }: Handing, { url } = server): WebSocket {
  return new WebSocket(url + path, protocols, options);
}

/** A connection that has been greeted. */
async function connect(handing: Handing, at = server): Promise<WebSocket> {
  const socket = open(handing, at);
  sockets.push(socket);
  expect(await next(socket)).toBe("debug!connected...\n");
  return socket;
}

/** The next frame; fails at once if the connection ends instead. */
function next(socket: WebSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once("message", (frame) => resolve(String(frame)));
    socket.once("close", (code, reason) => reject(new Error(`closed (${code} ${reason})`)));
    socket.once("error", reject);
  });
}

/** How the server closes a connection: ends when it says so, as the runtime leaves TCP open for a while. */
async function closing(socket: WebSocket): Promise<[code: number, reason: string]> {
  const closed = once(socket, "close");
  await vi.waitFor(() => expect(socket.readyState).not.toBe(WebSocket.OPEN), { timeout: 10_000 });
  socket.terminate();
  const [code, reason] = await closed;
  return [code, String(reason)];
}

async function refusal(handing: Handing, at = server): Promise<[status: number | undefined, said: string]> {
  const [, response] = await once(open(handing, at), "unexpected-response");
  return [response.statusCode, await text(response)];
}

describe.each(ways)("a token $way", ({ handing, protocol }) => {
  test("lets in", async () => {
    const socket = await connect(handing("/news", await issue()));
    expect(socket.protocol).toBe(protocol);
    socket.send("announce news hello");
    expect(await next(socket)).toBe("news!hello\n");
  });

  test("that is not good, or not for this channel, does not", async () => {
    const notGood = "The token is not good: its signature is wrong.\n";
    const forged = await mint(EVERYTHING, `${secret}x`);
    handedOut.push(forged);
    expect(await refusal(handing("/", forged))).toEqual([401, notGood]);
    const elsewhere = handing("/news", await issue({ subscribe: ["sport"] }));
    expect(await refusal(elsewhere)).toEqual([403, "The token does not allow this channel.\n"]);
  });
});

test("without a token nobody comes in, with a connection or without", async () => {
  const [status, said] = await refusal({ path: "/", protocols: [], options: {} });
  expect([status, said]).toEqual([401, expect.stringMatching(/^A token is needed/)]);
  const response = await fetch(server.url);
  expect([response.status, await response.text()]).toEqual([401, said]);
  expect(response.headers.get("WWW-Authenticate")).toBe("Bearer");
});

test("connections of one channel are closed when their tokens expire, in each object, and no others", async () => {
  const exp = seconds() - 3;
  const short = { options: { headers: bearer(await issue({ ...EVERYTHING, exp })) }, protocols: [] };
  const long = { options: { headers: bearer(await issue()) }, protocols: [] };
  const path = "/expiring";
  const brief = [await connect({ path, ...short }), await connect({ path, ...short })];
  const stays = await connect({ path, ...long });
  const reason = "your token has expired; connect again with a new one";
  expect(await Promise.all(brief.map(closing))).toEqual(brief.map(() => [1008, reason]));
  // Not sooner than they may be.
  expect(Date.now()).toBeGreaterThanOrEqual((exp + 5) * 1000);
  stays.send("announce expiring over");
  expect(await next(stays)).toBe("expiring!over\n");
});

test("what README.md says makes a token that lets in", async () => {
  if (recipe === undefined) throw new Error("README.md does not say how to make a token");
  const { stdout } = await promisify(execFile)("sh", ["-c", recipe], { cwd: ROOT });
  const token = stdout.trim();
  handedOut.push(token);
  const socket = await connect({ path: "/news/today", protocols: [], options: { headers: bearer(token) } });
  socket.send("announce news/today hello");
  expect(await next(socket)).toBe("news/today!hello\n");
});

test("no token is in the server's output", async () => {
  await fetch(`${server.url}/the/last?token=${await issue()}`);
  await vi.waitFor(() => expect(server.output()).toContain("/the/last"), { timeout: 5_000 });
  expect(handedOut.length).toBeGreaterThan(10);
  for (const token of handedOut) expect(server.output()).not.toContain(token);
  expect(server.output()).not.toContain(secret);
  expect(server.output()).not.toMatch(/uncaught/i);
});

test("public keys are fetched when they are to be had, and once for connections and renewals", async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const jwk = await exportJWK(publicKey);
  let asked = 0;
  let status = 500;
  const keys = createServer((_, response) => {
    asked += 1;
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ keys: [jwk] }));
  }).listen(0, "127.0.0.1");
  await once(keys, "listening");
  const address = keys.address();
  if (address === null || typeof address === "string") throw new Error("the keys have no port");
  const locked = await startServer({ TOKEN_JWKS_URL: `http://127.0.0.1:${address.port}/keys` });
  try {
    const token = await sign({ alg: "RS256" }, EVERYTHING, privateKey);
    const handing = { path: "/news", protocols: ["fanout", token], options: {} };
    const noKeys = "the keys to check tokens with cannot be had now";
    expect(await refusal(handing, locked)).toEqual([503, `Cannot check the token: ${noKeys}.\n`]);
    status = 200;
    asked = 0;
    const socket = await connect(handing, locked);
    await connect(handing, locked);
    socket.send(`token ${await sign({ alg: "RS256" }, EVERYTHING, privateKey)}`);
    expect(await next(socket)).toMatch(/^debug!token accepted until \d+\n$/);
    expect(asked).toBe(1);
    const [forged] = await refusal({ ...handing, protocols: ["fanout", await mint(EVERYTHING)] }, locked);
    expect(forged).toBe(401);
  } finally {
    await locked.stop();
    keys.close();
  }
});
