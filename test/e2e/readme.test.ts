/**
 * Checks the documents: runs their examples, with only the server's address replaced, and compares the commands, files,
 * links, tables and numbers that they mention with the code.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { CLOSINGS, isClosingCause } from "../../src/protocol/close-codes.ts";
import { ERROR_CODES, parseReason } from "../../src/protocol/errors.ts";
import { VERSION } from "../../src/version.ts";
import { readSettings } from "../../src/worker/settings.ts";
import { type Line, runCase, type Step, TIME } from "../conformance/case.ts";
import { bearer } from "../runtime/support/mint.ts";
import { run } from "./support/program.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { serve } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";
import { webSocketsTo } from "./support/websockets.ts";

const root = new URL("../../", import.meta.url);
/** Documents for users. */
const GUIDES = [
  "README.md",
  ...["deploying", "settings", "costs", "operations", "runbook", "guarantees", "presence", "protocol"].map(
    (page) => `docs/${page}.md`,
  ),
  ...["auth", "cli", "client", "worker"].map((folder) => `src/${folder}/README.md`),
];
const protocol = await fileOf("docs/protocol.md");
const guides = (await Promise.all(GUIDES.map(fileOf))).join("\n");

const PAGES = (await readdir(new URL("docs", root), { recursive: true }))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);

/** The addresses of local and deployed servers that the documents use. */
const LOCAL = "ws://localhost:8787";
const HTTP = "http://localhost:8787";
const DEPLOYED = "wss://host";

function fileOf(path: string): Promise<string> {
  return readFile(new URL(path, root), "utf8");
}

/** Returns the only code block in a language that contains `mark`. */
function block(language: string, mark: string): string {
  const blocks = [...guides.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const found = blocks.filter(([, named, code]) => named === language && code?.includes(mark));
  const [[, , code = ""] = []] = found;
  expect(found, `blocks of ${language} with '${mark}'`).toHaveLength(1);
  return code;
}

/** Returns the group of a pattern's only match in all guides. */
function only(pattern: RegExp): string {
  const found = [...guides.matchAll(pattern)];
  expect(found, String(pattern)).toHaveLength(1);
  return found[0]?.[1] ?? "";
}

/** Replaces the address that code shows by a server's. */
function at(url: string, shown: string, code: string): string {
  expect(code).toContain(shown);
  return code.replaceAll(shown, url);
}

let url: string;
let secret: string;
/** A server that requires tokens signed with `secret`. */
let locked: string;

beforeAll(async () => {
  secret = only(/^npm start -- --var TOKEN_SECRET:(\S+)/gm);
  const open = await serve();
  const closed = await serve({ settings: { TOKEN_SECRET: secret } });
  url = open.url;
  locked = closed.url;
  return async () => {
    for (const server of [open, closed]) await server.end();
  };
});

const httpUrl = () => url.replace("ws:", "http:");

/** Runs a snippet for browsers in Node; yields what it writes to the console. */
function runInBrowser(code: string): AsyncGenerator<string, never> {
  return linesOf(process.execPath, "--experimental-eventsource", "-e", code);
}

/** Runs a program; yields the lines that it prints. */
async function* linesOf(program: string, ...options: string[]): AsyncGenerator<string, never> {
  const child = spawn(program, options, { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill());
  const errors = text(child.stderr);
  yield* createInterface({ input: child.stdout });
  throw new Error(`the program has ended: ${await errors}`);
}

test("the browser snippet announces, and shows each message", async () => {
  const other = await TestClient.connect(`${url}/news`);
  const shown = runInBrowser(at(url, LOCAL, block("js", "new WebSocket")));
  const next = async () => (await shown.next()).value;
  expect(await next()).toBe("channel: debug message: connected...");
  expect(await next()).toBe("channel: news message: Hello from a browser");
  expect(await other.line()).toBe("news!Hello from a browser");
  // More than fits into one frame, with the characters that the snippet splits at.
  const messages = Array.from({ length: 3_000 }, (_, i) => `${i}! ${"é!".repeat(20)}`);
  other.send(messages.map((message) => `announce news ${message}\n`).join(""));
  for (const message of messages) expect(await next()).toBe(`channel: news message: ${message}`);
  other.close();
});

test("the browser snippet joins lines that are split between frames", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => void server.close());
  server.on("connection", (socket) => {
    for (const piece of ["debug!conn", "ected...\nnews!o", "ne\n", "news!two\nnews!three", "\n"]) socket.send(piece);
  });
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  const code = at(`ws://127.0.0.1:${address.port}`, LOCAL, block("js", "new WebSocket"));
  const shown = runInBrowser(code);
  for (const message of ["connected...", "one", "two", "three"]) {
    expect((await shown.next()).value).toMatch(new RegExp(`^channel: \\w+ message: ${message}$`));
  }
});

test("the browser snippet with a token connects", async () => {
  const code = only(/`(new WebSocket\("wss:[^`]*)`/g);
  const show = "socket.onmessage = ({ data }) => console.log(JSON.stringify([socket.protocol, data]));";
  const token = JSON.stringify(await makeToken());
  const shown = runInBrowser(`const token = ${token};\nconst socket = ${at(locked, DEPLOYED, code)};\n${show}`);
  expect(JSON.parse((await shown.next()).value)).toEqual(["fanout", "debug!connected...\n"]);
});

/** Makes a token with the documented command. */
async function makeToken(): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", ["-c", block("sh", "SignJWT")], {
    cwd: fileURLToPath(root),
  });
  return stdout.trim();
}

test.each([LOCAL, "wss://fanout.example.workers.dev"])(
  "the client library snippet for %s announces, and shows retained messages",
  async (shown) => {
    const code = at(url, shown, block("js", `new Fanout("${shown}")`));
    const library = JSON.stringify(new URL("src/client/fanout.ts", root));
    const { value } = await runInBrowser(at(library, '"fanout-edge/client"', code)).next();
    expect(value).toMatch(/^\d{16} hello$/);
  },
);

test("the snippet that resumes after a reload processes missed messages, and stores its position", async () => {
  const post = async (body: string) => {
    const response = await fetch(`${httpUrl()}/orders`, { method: "POST", body });
    return Number(response.headers.get("Fanout-Position"));
  };
  const position = await post("1");
  for (const text of ["2", "3"]) await post(text);
  const code = `
    import { Fanout } from ${JSON.stringify(new URL("src/client/fanout.ts", root))};
    const fanout = new Fanout(${JSON.stringify(url)});
    const process = async (text) => console.log("process", text);
    const localStorage = {
      getItem: () => "${position}",
      setItem: (key, value) => console.log("store", key, value - ${position}),
    };
    ${block("js", "localStorage")}`;
  const shown = runInBrowser(code);
  for (const line of ["process 2", "store orders 1", "process 3", "store orders 2"])
    expect((await shown.next()).value).toBe(line);
});

test("the event snippet shows messages of each channel", async () => {
  const shown = runInBrowser(at(httpUrl(), HTTP, block("js", "new EventSource")));
  expect((await shown.next()).value).toBe("connected...");
  const next = async (): Promise<string> => {
    const { value } = await shown.next();
    return value.startsWith("position ") ? next() : value;
  };
  for (const channel of ["news", "sport"]) {
    await fetch(`${httpUrl()}/${channel}`, { method: "POST", body: channel });
    expect(await next()).toBe(channel);
  }
});

test.skipIf(!find("curl", "apt-get install curl"))("the curl commands stream and announce", async () => {
  const [listen = "", announce = ""] = at(httpUrl(), "localhost:8787", block("sh", "curl -N")).split("\n");
  const received = linesOf("sh", "-c", `exec ${listen}`);
  expect((await received.next()).value).toBe("debug!connected...");
  await promisify(execFile)("sh", ["-c", announce]);
  expect((await received.next()).value).toBe("news!hello");
  const [, command = "", answer] = /^\$ (.*)\n(.*)\n$/.exec(block("sh", "$ curl")) ?? [];
  const { stdout } = await promisify(execFile)("sh", ["-c", at(httpUrl(), "localhost:8787", command)]);
  expect(withoutNumbers(stdout.trim())).toBe(withoutNumbers(answer ?? ""));
});

test("the page of README.md shows messages, with the library that the server serves", async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const library = await fetch(`${httpUrl()}/-/client.js`);
  await writeFile(join(folder, "client.mjs"), await library.text());
  const page = block("html", "document.body.append").trimEnd().split("\n");
  expect(page).toHaveLength(5);
  const code = at(httpUrl(), HTTP, page.slice(1, -1).join("\n").replace(`${HTTP}/-/client.js`, "./client.mjs"));
  const document = "const document = { body: { append: (...texts) => console.log(texts.join('')) } };";
  await writeFile(join(folder, "page.mjs"), `${document}\n${code}`);
  await fetch(`${httpUrl()}/news`, { method: "POST", body: "for pages" });
  for await (const shown of linesOf(process.execPath, join(folder, "page.mjs"))) if (shown === "for pages · ") break;
});

test.skipIf(!find("python3", "apt-get install python3"))("the lines of Python publish and subscribe", async () => {
  const code = at(httpUrl(), HTTP, block("python", "urllib"));
  expect(code.trimEnd().split("\n")).toHaveLength(4);
  for await (const shown of linesOf("python3", "-u", "-c", code)) if (shown === "news!hello from Python") break;
});

test("README.md is short", async () => {
  expect((await fileOf("README.md")).trim().split(/\s+/).length).toBeLessThanOrEqual(1_500);
});

test.each(["README.md", "src/client/README.md"])("%s makes the package right above its import", async (guide) => {
  const pattern =
    /^```sh\nnpm install fanout-edge .*\n(.*\n)(.*\n)```\n\n```js\nimport \{ Fanout \} from "fanout-edge\/client"/m;
  const [, pack, install] = pattern.exec(await fileOf(guide)) ?? [];
  expect(pack).toMatch(/^npm ci && npm pack /);
  expect(pack).toContain(`fanout-edge-${VERSION}.tgz`);
  expect(install).toMatch(new RegExp(`^npm install \\S+/fanout-edge-${VERSION}\\.tgz `));
});

/** Declarations that snippets of the client's guide assume. */
const GIVEN = `
import { Fanout } from "fanout-edge/client";
declare global {
  const fanout: Fanout, text: string, id: number;
  function process(text: string): Promise<void>;
  function retryLater(): void;
  function signInAgain(): Promise<string>;
}`;

/** A stand-in for the schema library. */
const ZOD = `
import type { StandardSchema } from "fanout-edge/client";
export declare const z: { number(): number; string(): string; object<T>(shape: T): StandardSchema<T> };`;

test("the snippets of the client library compile", async () => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  await symlink(fileURLToPath(new URL("node_modules", root)), join(folder, "node_modules"));
  const guide = await fileOf("src/client/README.md");
  const snippets = [...guide.matchAll(/^```(?:js|(tsx?))\n(.*?)^```$/gms)];
  expect(snippets.length).toBeGreaterThan(5);
  const files = snippets.map(([, ending = "ts"], i) => `${i}.${ending}`);
  const names = /import \{.*\bFanout\b/;
  for (const [i, [, , code = ""]] of snippets.entries()) {
    const imports = names.test(code) ? "" : 'import { Fanout } from "fanout-edge/client";\n';
    await writeFile(join(folder, files[i] ?? ""), imports + code.replace('"zod"', '"./zod.ts"'));
  }
  await writeFile(join(folder, "zod.ts"), ZOD);
  await writeFile(join(folder, "given.ts"), GIVEN);
  const settings = fileURLToPath(new URL("examples/react/page/tsconfig.json", root));
  // Snippets are JavaScript, without types of parameters and errors.
  const compilerOptions = {
    noImplicitAny: false,
    useUnknownInCatchVariables: false,
    moduleDetection: "force",
  };
  const configuration = { extends: settings, compilerOptions, include: ["given.ts", ...files] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(configuration));
  const tsc = join(folder, "node_modules", ".bin", "tsc");
  await promisify(execFile)(process.execPath, [tsc, "-p", folder]).catch(({ stdout }) => {
    throw new Error(stdout);
  });
});

test("the command that makes a token makes a valid one", async () => {
  const options = { headers: bearer(await makeToken()) };
  const client = await TestClient.connect(`${locked}/news/today`, options);
  client.send("announce news/today hello");
  expect(await client.ping()).toEqual(["news/today!hello"]);
  client.close();
});

test("the two terminals at the top show real output", async () => {
  const [commands = "", ...rows] = block("text", "npx wscat").trimEnd().split("\n");
  // Side by side, each from where its command begins.
  const columns = [...commands.matchAll(/\$ npx wscat -c (\S+)/g)];
  expect(columns).toHaveLength(2);
  const steps = columns.map(([name, address = ""]): Step => ({ name, does: "connects", path: at("", LOCAL, address) }));
  const cells = rows.flatMap((row) =>
    columns.map(({ 0: name, index }, i) => ({
      name,
      text: row.slice(index, columns[i + 1]?.index).trimEnd(),
    })),
  );
  for (const { text, name } of cells) {
    // A client that connects in a case reads the greeting.
    if (text === "" || text === "< debug!connected...") continue;
    if (text.startsWith("> ")) steps.push({ name, does: "sends", frames: [text.slice(2)] });
    else steps.push({ name, does: "reads", lines: [lineIn(text)] });
  }
  expect(cells.filter(({ text }) => text === "< debug!connected...")).toHaveLength(2);
  await runCase({ title: "the top of README.md", steps }, webSocketsTo(url));
});

test("the example of docs/presence.md is real", async () => {
  const lines = block("text", "> enter chat ann").trimEnd().split("\n");
  const [shown = ""] = /\d{16}/.exec(lines.join("\n")) ?? [];
  const [ann, bob] = [await TestClient.connect(url), await TestClient.connect(url)];
  bob.send("enter chat bob");
  await bob.ping();
  let position = shown;
  for (const line of lines) {
    const text = line.slice(2).replaceAll(shown, position);
    if (line.startsWith("> ")) {
      ann.send(text);
      continue;
    }
    if (text === "presence/chat!update bob away") bob.send("enter chat bob away");
    if (text === "presence/chat!leave bob") bob.send("leave chat");
    const received = await ann.line();
    position = /^debug!members chat (\d+)/.exec(received)?.[1] ?? position;
    expect(received).toBe(line.slice(2).replaceAll(shown, position));
  }
  const [, address = "", streamed = ""] = /curl -N '(.*)'\n(.*)/s.exec(block("text", "$ curl -N")) ?? [];
  const stream = await fetch(at(httpUrl(), "localhost:8787", address).replace(shown, position));
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let read = "";
  while (read.length < streamed.length) read += (await reader?.read())?.value ?? "";
  expect(read).toBe(streamed.replaceAll(shown, position));
  await reader?.cancel();
  ann.close();
  bob.close();
});

test("the output of the doctor is real", async () => {
  const [command = "", ...lines] = block("text", "$ fanout doctor").trimEnd().split("\n");
  const { out } = await run(at(url, LOCAL, command).split(" ").slice(2));
  expect(out.trimEnd().split("\n").map(withoutNumbers)).toEqual(lines.map(withoutNumbers));
});

/** Replaces numbers, which differ between runs. */
function withoutNumbers(line: string): string {
  return line.replace(/\d+(?:\.\d+)?/g, "0");
}

/** Returns the line that a terminal shows; times differ between runs. */
function lineIn(cell: string): Line {
  const [, line = ""] = /^< (.+)$/.exec(cell) ?? [];
  return TIME.test(line) ? TIME : line;
}

describe("commands, links and files that exist:", async () => {
  const documents = [
    ...new Set([...GUIDES, ...PAGES]),
    "CONTRIBUTING.md",
    "SECURITY.md",
    "src/README.md",
    "test/README.md",
    "tools/bench/README.md",
  ];
  const { scripts } = JSON.parse(await fileOf("package.json"));
  const configuration = await fileOf("vitest.config.ts");
  const configured = [...configuration.matchAll(/\bin(?:Node|Runtime)\("(\w+)"/g)].map(([, name]) => name);

  test.each(documents)("the scripts and test projects of %s", async (document) => {
    const text = await fileOf(document);
    const names = [...text.matchAll(/\bnpm (?:run )?([a-z][\w:-]*)/g)].map(([, name = ""]) => name);
    expect([...Object.keys(scripts), "ci", "install", "pack"]).toEqual(expect.arrayContaining(names));
    const projects = [...text.matchAll(/--project[ =](\w+)/g)].map(([, name = ""]) => name);
    expect(configured).toEqual(expect.arrayContaining(projects));
  });

  test.each(documents)("the links of %s", async (document) => {
    const links = (await fileOf(document)).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g);
    for (const [, path, heading] of links) {
      const target = path ? new URL(path, new URL(document, root)).href.slice(root.href.length) : document;
      if (heading) expect(headingsOf(await fileOf(target))).toContain(heading);
      else expect(await fileOf(target)).not.toBe("");
    }
  });

  // Paths begin at the root, at `src/`, or at the document's folder.
  test.each(documents)("the files that %s names", async (document) => {
    const folders = [root, new URL("src/", root), new URL(".", new URL(document, root))];
    const named = [...(await fileOf(document)).matchAll(/`([\w-]+(?:\/[\w.-]+)+\.[a-z]+)`/g)];
    const paths = named.map(([, path = ""]) => path).filter((path) => !path.startsWith("dist/"));
    const isFile = (path: string) => folders.some((folder) => existsSync(new URL(path, folder)));
    expect(paths.filter((path) => !isFile(path))).toEqual([]);
  });
});

const long = PAGES.filter((page) => !page.startsWith("docs/recipes/"));

test.each(long)("%s begins with a table of contents", async (page) => {
  const text = (await fileOf(page)).replace(/^```.*?^```$/gms, "");
  const [beginning = "", ...sections] = text.split(/^## /m);
  const headings = headingsOf(sections.map((section) => `## ${section}`).join(""));
  const listed = [...beginning.matchAll(/^ *(?:-|\d+\.) \[.*\]\(#(.*)\)$/gm)].map(([, heading]) => heading);
  expect(listed).toEqual(headings);
});

/** Returns the headings of a document, as links name them. */
function headingsOf(document: string): string[] {
  return [...document.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );
}

test("docs/protocol.md lists every cause for which the server closes a connection", async () => {
  const paths = (await readdir(new URL("src", root), { recursive: true })).filter((path) => /\.ts$/.test(path));
  const sources = (await Promise.all(paths.map((path) => fileOf(`src/${path}`)))).join("\n");
  const rows = [...protocol.matchAll(/^\| (10\d\d) (.+?) \| `(.+?)` \|/gm)];
  const causes = rows.map(([, , , cause = ""]) => cause).sort();
  for (const cause of causes) expect(sources).toMatch(new RegExp(`"${cause}",\\s`));
  expect(causes).toEqual(Object.keys(CLOSINGS).sort());
  for (const [, status, reason = "", cause = ""] of rows) {
    const closing = isClosingCause(cause) ? CLOSINGS[cause] : undefined;
    const fault = parseReason(reason);
    expect([Number(status), fault?.code]).toEqual([closing?.status, closing?.code]);
    for (const words of fault?.why.split("…") ?? []) expect(sources).toContain(words);
  }
});

test("docs/protocol.md lists every error code", () => {
  const [, table = ""] = /^\| code \| meaning \|.*?\n((?:\|.*\n)+)/m.exec(protocol) ?? [];
  const codes = [...table.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, named = ""]) => named.match(/[a-z-]+/g) ?? []);
  expect(codes).toEqual([...ERROR_CODES]);
});

test("the version is that of the package", async () => {
  expect(VERSION).toBe(JSON.parse(await fileOf("package.json")).version);
});

describe("the table of settings", async () => {
  const [, table = ""] = /^\| setting \|.*?\n((?:\|.*\n)+)/m.exec(await fileOf("docs/settings.md")) ?? [];
  const rows = table.split("\n").slice(1, -1);
  const settings = rows.flatMap((row) => {
    const [, names = "", value = "", range = ""] = row.split(" | ").join("|").split("|");
    return [...names.matchAll(/`(\w+)`/g)].map(([, name = ""]) => ({ name, value: value.trim(), range }));
  });

  test("names exactly the settings in the code", () => {
    const read = new Set<string>();
    readSettings(new Proxy({}, { get: (_, name) => (typeof name === "string" ? void read.add(name) : undefined) }));
    expect(settings.map(({ name }) => name).sort()).toEqual([...read].sort());
  });

  test.each(settings)("$name is $value by default", ({ name, value }) => {
    expect(() => readSettings({ [name]: "!" })).toThrow(name);
    // Words mean that nothing is set.
    if (/^\d+$/.test(value)) expect(readSettings({ [name]: value })).toEqual(readSettings({}));
    else expect(readSettings({})).toMatchObject({ allowedOrigins: undefined, tokens: undefined });
  });

  const numbers = settings.filter(({ value }) => /^\d+$/.test(value));

  test.each(numbers)("$name is a number in the range $range", ({ name, range }) => {
    expect(() => readSettings({ [name]: "!" })).toThrow(`from ${range.replaceAll(",", "")},`);
  });

  test("examples of settings are valid", () => {
    const set = [...guides.matchAll(/`([A-Z_]+) = "([^`]*)"`/g)];
    expect(set.length).toBeGreaterThan(0);
    for (const [, name = "", value] of set) readSettings({ [name]: value });
  });
});
