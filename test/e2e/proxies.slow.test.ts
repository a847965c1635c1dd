/** `fanout serve` behind the reverse proxies of `examples/hosting/`, which add TLS. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect } from "node:http2";
import { type RequestOptions, request } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { serveIn } from "./support/cli-server.ts";
import { freePort, listening } from "./support/listening.ts";
import { start } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";

/** The time for which connections stay silent, in milliseconds: longer than the usual timeout of proxies, a minute. */
const SILENCE = 65_000;

const PROXIES = { caddy: "Caddyfile", nginx: "nginx.conf" } as const;

const openssl = find("openssl", "apt-get install openssl");
const programs = {
  caddy: find("caddy", "apt-get install caddy"),
  nginx: find("nginx", "apt-get install nginx"),
};

let folder: string;
let ca: Buffer;

beforeAll(async () => {
  folder = await temporaryFolder();
  if (openssl) {
    const options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost";
    const files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key(), "-out", certificate()];
    execFileSync(openssl, [...options.split(" "), ...files], { stdio: "ignore" });
    ca = await readFile(certificate());
  }
  return () => removeFolder(folder);
});

const key = () => join(folder, "key.pem");
const certificate = () => join(folder, "certificate.pem");

/** Replaces text of an example, which has to contain it. */
function adapt(example: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce((all, [before, after]) => {
    expect(all).toContain(before);
    return all.replaceAll(before, after);
  }, example);
}

/** Writes the configuration around an example; returns the program's arguments. */
const CONFIGURE = {
  caddy: async (site: string, port: string, own: string) => {
    const options = "{\nadmin off\nauto_https disable_redirects\n}\n";
    const changes = { "fanout.example.com {": `https://localhost:${port} {\ntls ${certificate()} ${key()}` };
    await writeFile(join(own, "Caddyfile"), options + adapt(site, changes));
    return ["run", "--config", join(own, "Caddyfile"), "--adapter", "caddyfile"];
  },
  nginx: async (site: string, port: string, own: string) => {
    const changes = {
      "listen 443": `listen 127.0.0.1:${port}`,
      "    listen [::]:443 ssl http2;\n": "",
      "fanout.example.com;": "localhost;",
      "/etc/letsencrypt/live/fanout.example.com/fullchain.pem": certificate(),
      "/etc/letsencrypt/live/fanout.example.com/privkey.pem": key(),
    };
    await writeFile(join(own, "site.conf"), adapt(site, changes));
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${own}/${name};`,
    );
    const user = process.getuid?.() === 0 ? "user root;" : "";
    const main = `daemon off; pid ${own}/pid; ${user} error_log stderr; events { worker_connections 768; }
http { access_log off; ${paths.join(" ")} include ${own}/site.conf; }`;
    await writeFile(join(own, "nginx.conf"), main);
    return ["-e", "stderr", "-p", own, "-c", join(own, "nginx.conf")];
  },
};

/** Starts a proxy in front of a port of this machine, as its example configures it; returns its port. */
async function proxy(name: keyof typeof PROXIES, upstream: string): Promise<string> {
  const own = join(folder, `${name}-${upstream}`);
  await mkdir(own);
  const port = await freePort();
  const example = await readFile(new URL(`../../examples/hosting/${PROXIES[name]}`, import.meta.url), "utf8");
  const words = await CONFIGURE[name](adapt(example, { "127.0.0.1:8787": `127.0.0.1:${upstream}` }), port, own);
  const env = { PATH: process.env.PATH, HOME: own, XDG_DATA_HOME: own, XDG_CONFIG_HOME: own };
  const child = spawn(programs[name] ?? "", words, { env, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  let err = "";
  child.stderr.on("data", (chunk: unknown) => {
    err += String(chunk);
  });
  const isReady = () => ask(port, "/").then(({ status }) => status !== undefined);
  await expect.poll(() => isReady().catch(() => child.exitCode !== null && err)).toBe(true);
  return port;
}

/** Makes a request through a proxy; resolves to the beginning of the response. */
async function open(port: string, path: string, { body, ...options }: RequestOptions & { body?: string } = {}) {
  const asked = request({ host: "localhost", port, path, ca, agent: false, ...options });
  onTestFinished(() => void asked.destroy());
  asked.end(body);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once("response", resolve);
    asked.on("error", reject);
  });
  return { asked, response };
}

async function ask(port: string, path: string, options?: RequestOptions & { body?: string }) {
  const { response } = await open(port, path, options);
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

const announce = (port: string, body: string) => ask(port, "/news", { method: "POST", body });

/** The lines of a stream, of which nothing may be lost while it waits. */
class Lines {
  readonly #lines: AsyncIterator<string>;

  constructor(stream: Readable) {
    this.#lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  }

  /** Resolves when the stream has begun. */
  async begin(): Promise<void> {
    await this.#lines.next();
  }

  /** Resolves when the stream has sent a line. */
  async reach(wanted: string): Promise<void> {
    const read: string[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`the stream ended after ${read.join("\n")}`);
      if (value === wanted) return;
      read.push(value);
    }
  }
}

/** Subscribes in each way that is silent without messages; returns how to await a message. */
async function subscribers(port: string): Promise<((message: string) => Promise<unknown>)[]> {
  const socket = await TestClient.connect(`wss://localhost:${port}/news`, { ca });
  onTestFinished(() => socket.close());
  const events = { headers: { Accept: "text/event-stream" } };
  const lines = new Lines((await open(port, "/news")).response);
  const old = new Lines((await open(port, "/news", events)).response);
  const session = connect(`https://localhost:${port}`, { ca });
  onTestFinished(() => session.destroy());
  const multiplexed = [1, 2].map(() => {
    const stream = session.request({ ":path": "/news", accept: "text/event-stream" });
    return new Lines(stream);
  });
  const cli = start(["sub", `wss://localhost:${port}`, "news", "--last", "9"], { NODE_EXTRA_CA_CERTS: certificate() });
  const library = new Lines(cli.stdout);
  await Promise.all([lines, old, ...multiplexed].map((stream) => stream.begin()));
  return [
    async (message) => expect(await socket.line()).toBe(`news!${message}`),
    (message) => lines.reach(`news!${message}`),
    ...[old, ...multiplexed].map((stream) => (message: string) => stream.reach(`data: ${message}`)),
    (message) => library.reach(message),
  ];
}

/** The proxies that are installed. */
const installed = (["caddy", "nginx"] as const).filter((name) => openssl && programs[name]);

/** Starts a server. */
async function serve(...words: string[]) {
  const own = await temporaryFolder();
  onTestFinished(() => removeFolder(own));
  return serveIn(join(own, "data"), words);
}

describe.each(installed)("%s", (name) => {
  test("it passes on lines, events and messages at once, and over HTTP/2", async () => {
    const { port: upstream } = await serve();
    const port = await proxy(name, upstream);
    const receive = await subscribers(port);
    for (const message of ["a", "b"]) {
      expect((await announce(port, message)).status).toBe(200);
      await Promise.all(receive.map((reached) => reached(message)));
    }
  });

  test("it passes on large bodies and polls", async () => {
    const { port: upstream } = await serve();
    const port = await proxy(name, upstream);
    const { headers } = await ask(port, "/news?poll");
    const body = `${"a".repeat(60_000)}\n`.repeat(4);
    expect((await announce(port, body)).status).toBe(200);
    const missed = await ask(port, `/news?poll&since=${headers["fanout-position"]}`);
    expect(missed.body).toContain(body.replaceAll(/^/gm, "news!").replace(/news!$/, ""));
    // The server's own answer, not the proxy's.
    const tooLong = await announce(port, "a\n".repeat(500_001));
    expect([tooLong.status, tooLong.headers["fanout-error"]]).toEqual([413, "limit"]);
  });

  test("it names its clients' addresses, and replaces forged ones", async () => {
    const received: IncomingHttpHeaders[] = [];
    const upstream = createServer((asked, response) => {
      received.push(asked.headers);
      response.end();
    });
    upstream.on("upgrade", ({ headers }, socket) => {
      received.push(headers);
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    const { port: behind } = new URL(await listening(upstream));
    onTestFinished(() => void upstream.close());
    const port = await proxy(name, behind);
    received.length = 0;
    await ask(port, "/news");
    for (const forged of ["192.0.2.1", ["192.0.2.1", "192.0.2.2"]]) {
      await ask(port, "/news", { method: "POST", headers: { "cf-connecting-ip": forged } });
    }
    const forged = { "CF-Connecting-IP": "192.0.2.1" };
    await TestClient.open(`wss://localhost:${port}/news`, { ca, headers: forged }).closed;
    const addresses = received.map((headers) => headers["cf-connecting-ip"]);
    expect(addresses).toEqual(Array(4).fill("127.0.0.1"));
  });

  test("streams end with their clients", async () => {
    const { port: upstream } = await serve();
    const port = await proxy(name, upstream);
    const { asked, response } = await open(port, "/news");
    await new Lines(response).reach("debug!connected...");
    const connections = async () => /^fanout_connections (\d+)/m.exec((await ask(port, "/-/metrics")).body)?.[1];
    expect(await connections()).toBe("1");
    asked.destroy();
    // The runtime notices that a client has left when it writes.
    const afterWriting = async () => (await announce(port, "a")) && connections();
    await expect.poll(afterWriting).toBe("0");
  });
});

test.skipIf(installed.length === 0)("connections stay open while they are silent", async () => {
  const { port: upstream } = await serve();
  const ports = await Promise.all(installed.map((name) => proxy(name, upstream)));
  const receive = (await Promise.all(ports.map(subscribers))).flat();
  await pause(SILENCE);
  for (const port of ports) expect((await announce(port, "a")).status).toBe(200);
  await Promise.all(receive.map((reached) => reached("a")));
});
