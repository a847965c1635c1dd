/** Mistakes of newcomers. Each error names the fault and the remedy. */
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Fanout, type FanoutOptions, type Subscription } from "../../src/client/fanout.ts";
import { EVERYTHING, mint, SECRET, seconds } from "../runtime/support/mint.ts";
import { listening } from "./support/listening.ts";
import { NODE, run } from "./support/program.ts";
import { type Served, serve } from "./support/serve.ts";
import { refusal, TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";

const curl = find("curl", "apt-get install curl");
const browser = find("chromium", "apt-get install chromium");

/** A server that anyone may use, one that requires tokens and pages of its own origin, and one with a wrong setting. */
let open: Served;
let locked: Served;
let wrong: Served;

beforeAll(async () => {
  const settings = { TOKEN_SECRET: SECRET, ALLOWED_ORIGINS: "https://app.example.com" };
  [open, locked, wrong] = await Promise.all([
    serve(),
    serve({ settings }),
    serve({ settings: { HISTORY_SECONDS: "2 minutes" } }),
  ]);
  return () => Promise.all([open.end(), locked.end(), wrong.end()]);
});

/** A mistake, the sentence that it leads to, and an action that makes the mistake and returns what a person sees. */
type Mistake = [what: string, sees: string, make: () => Promise<string>];

/** Makes each mistake; what a person sees must never contain a token or a secret. */
function eachOf(mistakes: Mistake[]): void {
  test.each(mistakes)("%s", async (_, sees, make) => {
    const seen = await make();
    expect(seen).toBe(sees);
    expect(seen).not.toMatch(/s3cret|eyJ/);
  });
}

function http({ url }: Served): string {
  return url.replace(/^ws/, "http");
}

/** Returns the message of the error that an action throws. */
async function thrown(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  throw new Error("there was no error");
}

/** Calls a function as plain JavaScript does, without types. */
function untyped(call: (...words: never[]) => unknown, ...words: unknown[]): unknown {
  return Reflect.apply(call, undefined, words);
}

function client(url: string, options: FanoutOptions & { codec?: undefined } = {}): Fanout {
  const made = new Fanout(url, options);
  onTestFinished(() => made.close({ within: 0 }));
  return made;
}

/** Returns the error of a loop over a subscription. */
function loop(subscription: Subscription): Promise<string> {
  return thrown(() => subscription[Symbol.asyncIterator]().next());
}

/** Returns the error of a loop with a token that has claims. */
async function loopWith(claims: Record<string, unknown>, secret?: string): Promise<string> {
  return loop(client(locked.url, { token: await mint(claims, secret) }).subscribe("chat"));
}

/** Returns what the console shows of a client that subscribes at an address. */
async function shownFor(url: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  vi.mocked(console.warn).mockImplementation(resolve);
  client(url).subscribe("chat");
  return promise;
}

/** Returns the address of a server that isn't Fanout. */
async function otherServer(): Promise<string> {
  const server = createServer((_, response) => response.writeHead(404).end("<html>\n<h1>Not found</h1>\n"));
  onTestFinished(() => void server.close());
  return listening(server);
}

/** Returns an address where no server listens. */
async function unused(): Promise<string> {
  const server = createServer();
  const url = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return url;
}

const NO_TOKEN =
  "a token is missing; send it as 'Authorization: Bearer <token>', as the WebSocket subprotocols 'fanout, <token>', or as '?token=<token>'";
const NO_JWT = "it takes a JWT, or a function that returns one";
const UNREACHABLE = "the server can't be reached; check the address";
const ANY_TEXT = "it takes 1 to 1000000 bytes of text on one line, or a codec, such as `json()`";
const NAME = "it takes 1 to 255 bytes of text without spaces, '!' or control characters, not `debug`";
const WRONG_SETTING =
  "this server's settings are wrong: HISTORY_SECONDS must be a whole number from 0 to 86400, not '2 minutes'";
const NOT_GRANTED = "your token doesn't grant this channel; its claim";

describe("in a program that uses the client library:", () => {
  beforeEach(() => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    return () => warn.mockRestore();
  });

  eachOf([
    [
      "announce an object",
      `the message is of type object; ${ANY_TEXT}`,
      () => thrown(() => untyped(client(open.url).announce, "chat", { id: 7 })),
    ],
    [
      "announce two lines",
      `the message is "first\\nsecond"; ${ANY_TEXT}`,
      () => thrown(() => client(open.url).announce("chat", "first\nsecond")),
    ],
    [
      "announce an empty text",
      `the message is ""; ${ANY_TEXT}`,
      () => thrown(() => client(open.url).announce("chat", "")),
    ],
    [
      "announce a long text",
      "a line has at most 65536 bytes; split the message, or raise MAX_LINE_BYTES",
      () => thrown(() => client(open.url).announce("chat", "x".repeat(100_000))),
    ],
    [
      "announce to a channel with a space",
      `the channel is "my room"; ${NAME}`,
      () => thrown(() => client(open.url).announce("my room", "hi")),
    ],
    [
      "subscribe to a channel with an exclamation mark",
      `the channel is "hey!"; ${NAME}`,
      () => thrown(() => client(open.url).subscribe("hey!")),
    ],
    [
      "pass a function instead of options",
      "`options` is of type function; it takes an object, not an array",
      () => thrown(() => untyped(client(open.url).subscribe, "chat", () => {})),
    ],
    [
      "resume from a stored position, which is text",
      'the option `since` is "17"; it takes a whole number from 0 up; stored values need `Number(…)`',
      () => thrown(() => untyped(client(open.url).subscribe, "chat", { since: "17" })),
    ],
    [
      "leave out the address's scheme",
      'the address is "localhost:8787"; it takes ws://host or wss://host/path',
      () => thrown(() => client("localhost:8787")),
    ],
    [
      "use another scheme",
      'the address is "ftp://localhost:8787"; it takes ws://host or wss://host/path',
      () => thrown(() => client("ftp://localhost:8787")),
    ],
    [
      "put the token into the address",
      'the address is "wss://example.com/…"; it takes ws://host or wss://host/path',
      () => thrown(() => client("wss://example.com/?token=s3cret")),
    ],
    [
      "put the channel into the address",
      "leave the channel out of the address",
      () => loop(client(`${open.url}/chat`).subscribe("chat")),
    ],
    ["don't start the server", `Fanout: ${UNREACHABLE}`, async () => shownFor(await unused())],
    ["use wss:// for a server without TLS", `Fanout: ${UNREACHABLE}`, () => shownFor(open.url.replace("ws", "wss"))],
    [
      "use the address of another server",
      "Fanout: the answer isn't from Fanout (status 404); check the address",
      async () => shownFor(await otherServer()),
    ],
    ["deploy a wrong setting", `Fanout: unavailable: ${WRONG_SETTING}`, () => shownFor(wrong.url)],
    ["give no token", NO_TOKEN, () => loop(client(locked.url).subscribe("chat"))],
    ["give no token, and only a callback", `Fanout: forbidden: ${NO_TOKEN}`, () => shownFor(locked.url)],
    [
      "give a token with the word Bearer",
      `the token is of type string; ${NO_JWT}`,
      () => thrown(() => client(locked.url, { token: "Bearer s3cret" })),
    ],
    [
      "give a promise of a token",
      `the token is of type object; ${NO_JWT}`,
      () => thrown(() => Reflect.construct(Fanout, [locked.url, { token: mint() }])),
    ],
    [
      "return no token from the function",
      `the token is of type undefined; ${NO_JWT}`,
      () => loop(client(locked.url, { token: () => Reflect.get({}, "token") }).subscribe("chat")),
    ],
    [
      "return the error page of a token endpoint that answers 502",
      `the token is of type string; ${NO_JWT}`,
      () => thrown(() => client(locked.url, { token: async () => "<h1>502 s3cret</h1>" }).announce("chat", "hi")),
    ],
    [
      "give a text that isn't a token",
      "the token isn't a signed JWT; make one with a JWT library, or `fanout token`",
      () => loop(client(locked.url, { token: "s3cret" }).subscribe("chat")),
    ],
    [
      "sign with another secret",
      "the token's signature is wrong; sign it with the key of this server",
      () => loopWith(EVERYTHING, "another s3cret of more than 32 bytes"),
    ],
    [
      "use an expired token",
      "the token has expired; get a new one",
      () => loopWith({ ...EVERYTHING, exp: seconds() - 60 }),
    ],
    [
      "sign with a clock that is fast",
      "the token's claim 'nbf' is in the future; check the clock of its issuer",
      () => loopWith({ ...EVERYTHING, nbf: seconds() + 600 }),
    ],
    [
      "sign without an expiry",
      "the token's claim 'exp' is missing; add it",
      () => loopWith({ ...EVERYTHING, exp: undefined }),
    ],
    [
      "grant a channel as text",
      "the token's claim 'subscribe' isn't a list of channels, such as [\"news\"]",
      () => loopWith({ subscribe: "chat" }),
    ],
    [
      "subscribe to a channel that isn't granted",
      `${NOT_GRANTED} 'subscribe' has to list it`,
      () => loopWith({ subscribe: ["news"] }),
    ],
    [
      "announce on all with a token for every channel",
      `${NOT_GRANTED} 'announce' has to list 'all' by name, because '*' doesn't include it`,
      async () => {
        const member = client(locked.url, { token: await mint(EVERYTHING) });
        return thrown(() => member.announce("all", "hi"));
      },
    ],
  ]);
});

/** Returns the line that answers a command on a WebSocket. */
async function reply(line: string, path = ""): Promise<string> {
  const connection = await TestClient.connect(open.url + path);
  onTestFinished(() => connection.close());
  connection.send(line);
  const [said = ""] = await connection.ping();
  return said;
}

const COMMANDS =
  "unknown command; the commands are ping, info, subscribe <channel>, unsubscribe <channel>, announce <channel> <message>, once <key> <channel> <message>, enter <channel> <member> [<data>], leave <channel>, members <channel>, token <jwt>, keepalive";

describe("on a WebSocket without the library:", () => {
  eachOf([
    ["use a command of another server", `debug!error invalid publish: ${COMMANDS}`, () => reply("publish chat hi")],
    ["send JSON", `debug!error invalid line: ${COMMANDS}`, () => reply('{"subscribe": "chat"}')],
    ["subscribe to nothing", "debug!error invalid subscribe: a channel name is missing", () => reply("subscribe")],
    [
      "announce nothing",
      "debug!error invalid announce chat: a message is missing after the channel",
      () => reply("announce chat"),
    ],
    [
      "announce to a channel with an exclamation mark",
      "debug!error invalid announce hey!: a channel name has no '!', space or control character; use '-' instead",
      () => reply("announce hey! hi"),
    ],
    // The protocol can't tell a second word of the name from the message; both sides of a chat use the same channel.
    ["announce to a channel with a space", "my!room hi", () => reply("announce my room hi", "/my")],
    [
      "connect to a channel with a space",
      "A channel name has no '!', space or control character; use '-' instead.\n",
      async () => (await refusal(`${open.url}/my%20room`)).body,
    ],
    [
      "send a token to a server that needs none",
      "debug!error invalid token: this server needs no tokens",
      () => reply("token s3cret"),
    ],
  ]);
});

/** Runs `curl`, and returns the response's body. */
async function curled(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(curl ?? "", ["-sS", ...words]);
  return stdout.trim();
}

describe.skipIf(!curl)("with curl:", () => {
  eachOf([
    [
      "send a message by GET",
      "GET subscribes, and has no body; use POST to announce.",
      () => curled("-X", "GET", "-d", "hi", `${http(open)}/chat`),
    ],
    [
      "send a message by PUT",
      "This method isn't supported; GET subscribes and POST announces.",
      () => curled("-X", "PUT", "-d", "hi", `${http(open)}/chat`),
    ],
    ["send an empty body", "A message is missing; send one per line.", () => curled("-d", "", `${http(open)}/chat`)],
    [
      "send indented JSON",
      "The JSON has line breaks, but each line is a message; send it on one line.",
      () => curled("--json", '{\n  "id": 7\n}', `${http(open)}/chat`),
    ],
    [
      "send a form",
      "A body is lines of text, not parts of a form; with curl, use -d instead of -F.",
      () => curled("-F", "message=hi", `${http(open)}/chat`),
    ],
    [
      "ask for messages since a time",
      "'since' takes a position, a whole number from 0 to 9007199254740991, or 'now'.",
      () => curled(`${http(open)}/chat?since=yesterday`),
    ],
    [
      "subscribe at a path of another server",
      "There is no such page; the pages are /-/client.js, /-/health, /-/settings, /-/info, /-/metrics, /-/channels, /-/channels/<channel> and, with POST, /-/revoke.",
      () => curled("-H", "Accept: text/event-stream", `${http(open)}/-/events`),
    ],
    [
      "send a token without Bearer",
      `A${NO_TOKEN.slice(1)}.`,
      async () => curled("-H", `Authorization: ${await mint(EVERYTHING)}`, "-d", "hi", `${http(locked)}/chat`),
    ],
  ]);

  test("a body of two lines is two messages, as the response says", async () => {
    expect(await curled("--data-binary", "first\nsecond", `${http(open)}/lines`)).toMatch(/,"count":2}$/);
  });
});

/** Runs the program, and returns what it writes to standard error. */
async function fanout(...words: string[]): Promise<string> {
  return (await run(words)).err;
}

const HELP = "Run 'fanout --help' or 'fanout <command> --help' for what is possible.";

describe("with the program fanout:", () => {
  eachOf([
    [
      "leave out the address's scheme",
      "fanout: the address 'localhost:8787' has no scheme; use ws://localhost:8787\n",
      () => fanout("sub", "localhost:8787", "news"),
    ],
    [
      "leave out the scheme of a deployed server",
      "fanout: the address 'fanout.example.workers.dev' has no scheme; use wss://fanout.example.workers.dev\n",
      () => fanout("ping", "fanout.example.workers.dev"),
    ],
    [
      "leave out the address",
      "fanout: the address is missing; give one, or set FANOUT_URL\n",
      () => fanout("sub", "news"),
    ],
    [
      "put the channel into the address",
      "fanout: the channel is missing; give it after the address\n",
      () => fanout("sub", `${open.url}/news`),
    ],
    [
      "put the channel of an announcement into the address",
      "fanout: the input is empty, so nothing was announced; is the channel missing before the message?\n",
      () => fanout("pub", `${open.url}/news`, "hello"),
    ],
    [
      "make a token that grants nothing",
      "fanout: this token grants nothing; add --subscribe, --announce, --enter or --operate\n",
      async () => (await run(["token"], { env: { TOKEN_SECRET: SECRET } })).err,
    ],
    [
      "write a message without quotes",
      "fanout: the message has to be one argument; put it in quotes\n",
      () => fanout("pub", open.url, "news", "hello", "world"),
    ],
    [
      "use a command of another program",
      `error: unknown command 'publish'\n(Did you mean pub?)\n${HELP}\n`,
      () => fanout("publish", open.url, "news", "hello"),
    ],
    [
      "give a token as an argument",
      "fanout: a token isn't an argument, as other users can see those; set FANOUT_TOKEN or --token-file\n",
      () => fanout("sub", locked.url, "news", "--token", "s3cret"),
    ],
    [
      "don't start the server",
      `fanout: ${UNREACHABLE}; trying again for 2 s\nfanout: ${UNREACHABLE}\n`,
      async () => fanout("pub", await unused(), "news", "hello", "--timeout", "2"),
    ],
    [
      "make a token with a short secret",
      "fanout: the server's secret is missing or short; set TOKEN_SECRET or --secret-file to 32 bytes or more\n",
      async () => (await run(["token"], { env: { TOKEN_SECRET: "s3cret" } })).err,
    ],
  ]);
});

/** Runs the installation in a Node that claims another version. */
async function installWith(version: string): Promise<string> {
  const versions = `{ ...process.versions, node: "${version}" }`;
  const pretend = `data:text/javascript,Object.defineProperty(process, "versions", { value: ${versions} })`;
  const install = fileURLToPath(new URL("../../tools/install.mjs", import.meta.url));
  const ended = await promisify(execFile)(NODE, ["--import", pretend, install]).catch((error: unknown) => error);
  return String(Reflect.get(Object(ended), "stderr"));
}

describe("before the first start:", () => {
  eachOf([
    [
      "use an old Node",
      "Fanout needs Node.js 20 or newer, but this is 18.20.4. Install a newer one from https://nodejs.org.\n",
      () => installWith("18.20.4"),
    ],
  ]);
});

describe.skipIf(!browser)("in a page of another origin:", () => {
  let launched: Browser;
  let pages: string;

  beforeAll(async () => {
    const contents = `export * from "./fanout.ts"`;
    const resolveDir = fileURLToPath(new URL("../../src/client", import.meta.url));
    const bundled = await build({ stdin: { contents, resolveDir }, bundle: true, format: "esm", write: false });
    const script = bundled.outputFiles[0]?.text;
    const server = createServer(({ url }, response) => {
      response.setHeader("Content-Type", url === "/fanout.js" ? "text/javascript" : "text/html");
      response.end(url === "/fanout.js" ? script : "<!doctype html>");
    });
    pages = await listening(server);
    launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
    return async () => {
      await launched.close();
      server.close();
    };
  });

  /** Evaluates code in a page; `wrong` and `locked` are the servers' addresses. */
  async function inPage(code: string): Promise<string> {
    const page = await launched.newPage();
    onTestFinished(() => page.close());
    await page.goto(pages);
    const servers = `const [wrong, locked] = ${JSON.stringify([http(wrong), http(locked)])};`;
    return page.evaluate(`(async () => { ${servers} ${code} })()`);
  }

  const IMPORT = `const { Fanout } = await import("/fanout.js");`;
  const WARNING = "return new Promise((resolve) => { console.warn = resolve; fanout.subscribe('chat'); });";
  const ORIGIN = "this server doesn't allow pages of this origin; its setting ALLOWED_ORIGINS has to name it";

  eachOf([
    [
      "deploy a wrong setting",
      `T${WRONG_SETTING.slice(1)}.\n`,
      () => inPage(`return (await fetch(wrong + "/chat", { headers: { "X-Any": "1" } })).text();`),
    ],
    [
      "deploy a wrong setting, with the library",
      `Fanout: unavailable: ${WRONG_SETTING}`,
      () => inPage(`${IMPORT} const fanout = new Fanout(wrong); ${WARNING}`),
    ],
    [
      "don't allow the page's origin",
      `T${ORIGIN.slice(1)}.\n`,
      () => inPage(`return (await fetch(locked + "/chat", { method: "POST", body: "hi" })).text();`),
    ],
    [
      "don't allow the page's origin, with the library",
      `Fanout: forbidden: ${ORIGIN}`,
      () => inPage(`${IMPORT} const fanout = new Fanout(locked, { token: "a.b.c" }); ${WARNING}`),
    ],
  ]);
});
