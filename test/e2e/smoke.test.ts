/** `npm run smoke`, which tells whether a server works, at servers that do and that do not. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { smoke } from "../../tools/smoke/smoke.ts";
import { mint, SECRET } from "../runtime/support/mint.ts";
import { Listener } from "./support/listener.ts";
import { serve } from "./support/serve.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

let open: string;
/** A server that lets in who has a token. */
let locked: string;
/** A server whose settings are wrong. */
let misled: string;

beforeAll(async () => {
  const servers = await Promise.all([
    serve(),
    serve({ settings: { TOKEN_SECRET: SECRET } }),
    serve({ settings: { CLIENT_LIMIT: "many" } }),
  ]);
  [open, locked, misled] = [servers[0].url, servers[1].url, servers[2].url];
  return async () => {
    for (const server of servers) await server.end();
  };
});

/** What a run has come to. */
interface Run {
  status: unknown;
  output: string;
  errors: string;
}

/** Runs the script as npm does, but for the packages that it would install before. */
async function run(address: string, token = ""): Promise<Run> {
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const child = spawn("sh", ["-c", `${scripts.smoke} "$@"`, "sh", address], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${join(ROOT, "node_modules", ".bin")}:${process.env.PATH}`, TOKEN: token },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  return { status, output, errors };
}

/** A run that has found something wrong, and says what in one line. */
function complains(line: RegExp | string): Run {
  return { status: 1, output: "", errors: expect.stringMatching(line) };
}

function isGood(address: string): Run {
  const line = new RegExp(`^${address} works: two clients heard each other\\. \\(\\d+\\.\\d s\\)\\n$`);
  return { status: 0, output: expect.stringMatching(line), errors: "" };
}

/** The address of a server, once it listens; it ends with the test. */
async function at(server: Server | WebSocketServer): Promise<string> {
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}`;
}

describe("a server that works", () => {
  test("is said to, by the address that deploying prints and by one for WebSockets", async () => {
    const address = open.replace("ws:", "http:");
    expect(await run(address)).toEqual(isGood(address));
    expect(await run(`${open}/`)).toEqual(isGood(`${open}/`));
  });

  test("is said to while everyone talks on 'all'", async () => {
    const talker = await Listener.connect(open);
    // One word gives the next, so that there is always one under way.
    talker.socket.on("message", () => talker.say("announce all and another thing"));
    talker.say("announce all one thing");
    expect(await run(open)).toEqual(isGood(open));
    talker.close();
  });

  test("is said to with a token where one is needed", async () => {
    const channels = ["smoke-test/*"];
    const token = await mint({ subscribe: channels, announce: channels });
    expect(await run(locked, token)).toEqual(isGood(locked));
  });
});

describe("what is wrong is said in a line:", () => {
  test("no address, or what is none", async () => {
    expect(await run("")).toEqual(complains(/^The address is missing: .+\n$/));
    const [, port = ""] = /:(\d+)$/.exec(open) ?? [];
    for (const wrong of [`localhost:${port}`, "fanout.example.workers.dev", `ftp://localhost:${port}`]) {
      const { works, says } = await smoke(wrong, undefined);
      expect(works).toBe(false);
      expect(says).toMatch(`'${wrong}' is no address of a server: npm run smoke -- https://`);
    }
  });

  test("nothing listens", async () => {
    // A port that nobody else is given meanwhile: one end of a connection has it.
    const server = createTcpServer().listen(0, "127.0.0.1");
    const socket = connect(Number(new URL(await at(server)).port), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    const address = `http://127.0.0.1:${socket.localPort}`;
    expect(await run(address)).toEqual(complains(`^Cannot connect to ${address}: .*ECONNREFUSED.*\\n$`));
  });

  test("a token is needed", async () => {
    const line = `^${locked} refuses the connection \\(401\\)\\. A token is missing; .+ on 'smoke-test/\\*'\\.\\n$`;
    expect(await run(locked)).toEqual(complains(line));
  });

  test("a token is not good, or not for these channels", async () => {
    const refused = (why: string) =>
      complains(`^${locked} refuses the connection ${why}.+'smoke-test/\\*'\\.\\n$`);
    const forged = await mint({ subscribe: ["*"], announce: ["*"] }, `${SECRET}x`);
    expect(await run(locked, forged)).toEqual(refused("\\(401\\)\\. The token's signature is wrong\\."));
    const elsewhere = await mint({ subscribe: ["news"], announce: ["*"] });
    expect(await run(locked, elsewhere)).toEqual(
      refused("\\(403\\)\\. Your token doesn't grant this channel\\."),
    );
    const silent = await mint({ subscribe: ["*"], announce: ["news"] });
    const line = `^${locked} does not answer as Fanout does: .+ reads: debug!error forbidden announce smoke-test/.+\\n$`;
    expect(await run(locked, silent)).toEqual(complains(line));
  });

  test("the server's settings are wrong", async () => {
    const line = `^${misled} refuses the connection \\(500\\)\\. This server's settings are wrong: CLIENT_LIMIT .+\\n$`;
    expect(await run(misled)).toEqual(complains(line));
  });

  test("a web server that is not Fanout", async () => {
    const address = await at(
      createServer((_, response) => {
        response.writeHead(404, { "Content-Type": "text/html" }).end("<h1>Not found</h1>\n");
      }).listen(0, "127.0.0.1"),
    );
    const line = `^${address} refuses the connection \\(404\\)\\. It does not seem to be Fanout\\.\\n$`;
    expect(await run(address)).toEqual(complains(line));
  });

  test("a WebSocket server that is not Fanout", async () => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    server.on("connection", (socket) => socket.send("welcome"));
    const address = await at(server);
    const line = `^${address} does not answer as Fanout does: .+ debug!connected\\.\\.\\. but reads .+ welcome\\)\\n$`;
    expect(await run(address)).toEqual(complains(line));
  });

  test("nothing comes from a server", async () => {
    // However long one waits, so it need not be long.
    const deaf = await at(createTcpServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1"));
    expect(await smoke(deaf, undefined, { upgrade: 50 })).toEqual({
      works: false,
      says: `Cannot connect to ${deaf}: Opening handshake has timed out`,
    });
    const mute = await at(new WebSocketServer({ host: "127.0.0.1", port: 0 }));
    expect(await smoke(mute, undefined, { line: 50 })).toEqual({
      works: false,
      says: `${mute} does not answer as Fanout does: alice expects debug!connected... but reads (nothing for 0.05 seconds)`,
    });
  });
});
