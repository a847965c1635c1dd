/** The code that the console copies, executed by shells, Node, Python and a browser. */
import { execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { isVisible, literal, printfQuoted, shellQuoted } from "../../src/console/quoting.ts";
import { type Action, type Language, snippetFor, type Target } from "../../src/console/snippets.ts";
import { EVERYTHING, mint, SECRET } from "../runtime/support/mint.ts";
import { listening } from "./support/listening.ts";
import { removeFolder, temporaryFolder } from "./support/runtime.ts";
import { type Served, serve, serveInTest } from "./support/serve.ts";
import { TestClient } from "./support/test-client.ts";
import { find } from "./support/tools.ts";

const curl = find("curl", "apt-get install curl");
const python = find("python3", "apt-get install python3");
const browser = find("chromium", "apt-get install chromium");

/** Texts that try to end their quotes, run a command, open a file, or act on a terminal. */
const HOSTILE = [
  `it's "quoted" \`twice\``,
  `$(echo no) \`echo no\` $\{HOME} $HOME`,
  "'; exit 1; '",
  `"); process.exit(1); ("`,
  `""" + str(1/0) + """`,
  `$\{process.exit(1)} {0} %s %d %% %n`,
  "back\\slash \\n \\' \\\" \\u0041 \\x41 \\101 \\",
  "</script><script>throw 1</script>",
  "<!-- <script> </SCRIPT >",
  "# no // comment /* at */ all",
  "-d @/etc/passwd",
  "@/etc/passwd",
  "--help",
  "!! !1 ~ * ? [a-z] {a,b} & | ; < > ( )",
  " leading and trailing ",
  "tab\tescape\u001b[31m bell\u0007 delete\u007f next line\u0085",
  "null\u0000 \u0003 \u0004 \u001a",
  "return\rreturn",
  "line\u2028paragraph\u2029",
  "\u202egnp.exe\u202c \u2066\u200f",
  "mark\ufeff\u200b",
  "\ufeffmark",
  "return\r",
  "caf\u00e9 \u6f22\u5b57 \u{1f469}\u200d\u{1f680}",
];

/** Executes a program with code, and returns its output. */
async function executed(command: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(command, args, { encoding: "utf8" })).stdout;
}

describe("quoted text has its value:", () => {
  const texts = [...HOSTILE, "two\nlines\r\n", "'", "\\", '"', "%", "-", "\n"];

  test.each(["sh", "bash"])("in %s", async (shell) => {
    for (const text of texts) {
      expect(await executed(shell, "-c", `printf ${printfQuoted(text)}`)).toBe(text);
      expect(printfQuoted(text)).toMatch(/^[ -~\u00a0-\u{10ffff}]*$/u);
      if (isVisible(text)) expect(await executed(shell, "-c", `printf %s ${shellQuoted(text)}`)).toBe(text);
    }
  });

  test("a lone surrogate is sent as U+FFFD", async () => {
    expect(isVisible("\ud800")).toBe(false);
    expect(await executed("sh", "-c", `printf ${printfQuoted("a\ud800b\udfff")}`)).toBe("a\ufffdb\ufffd");
    const action: Action = { kind: "announce", channel: "news", text: "a\ud800b" };
    for (const language of ["JavaScript", "Python"] as const) {
      expect(snippetFor(language, action, { base: "", needsToken: false })).toContain('"a\ufffdb"');
    }
  });

  const literals = `[${[...texts, "\ud800"].map(literal).join(", ")}]`;
  const escaped = JSON.stringify([...texts, "\ud800"]);

  test("literals show no character that hides or reorders others", () => {
    expect(literals).toMatch(/^[ -~\u00a0-\u{10ffff}]*$/u);
    expect(literals).not.toMatch(/[\u200b\u200f\u2028-\u202e\u2066-\u2069\ufeff]/);
  });

  test("in JavaScript", async () => {
    expect(await executed(process.execPath, "-e", `console.log(JSON.stringify(${literals}))`)).toBe(`${escaped}\n`);
  });

  test.skipIf(!python)("in Python", async () => {
    const output = await executed(python ?? "", "-c", `import json; print(json.dumps(${literals}))`);
    expect(JSON.parse(output)).toEqual(JSON.parse(escaped));
  });
});

let server: Served;
let target: Target;
let folder: string;
/** Path of the client library, because Node doesn't import from other servers. */
let library: string;

beforeAll(async () => {
  server = await serve();
  target = { base: server.url.replace(/^ws/, "http"), needsToken: false };
  folder = await temporaryFolder();
  library = join(folder, "client.mjs");
  await writeFile(library, await (await fetch(`${target.base}/-/client.js`)).text());
  return async () => {
    await server.end();
    await removeFolder(folder);
  };
});

let names = 0;

/** Starts code that the console copies; returns its lines of output. It ends with the test. */
function start(language: Language, code: string, environment: Record<string, string> = {}) {
  const [command = "", ...args] = commandFor(language, code);
  const env = { ...process.env, ...environment };
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return createInterface({ input: child.stdout });
}

function commandFor(language: Language, code: string): string[] {
  switch (language) {
    case "curl":
      return ["sh", "-c", code];
    case "JavaScript":
      return [process.execPath, "--input-type=module", "-e", imported(code)];
    case "Python":
      return [python ?? "", "-c", code];
  }
}

/** Replaces the address of the library by its path. */
function imported(code: string): string {
  const address = /(?<=^import \{ Fanout \} from )".+\/-\/client\.js"(?=;$)/m;
  expect(code).toMatch(address);
  return code.replace(address, () => literal(library));
}

describe.each<[Language, string | undefined]>([
  ["curl", curl],
  ["JavaScript", process.execPath],
  ["Python", python],
])("%s", (language, program) => {
  test.skipIf(!program)("announces exactly the text", async () => {
    const channel = `caf\u00e9/it's-$(x)-"${++names}"?#%2f&'`;
    const subscriber = await TestClient.connect(`${server.url}/${encodeURIComponent(channel)}`);
    onTestFinished(() => subscriber.close());
    for (const text of HOSTILE) {
      start(language, snippetFor(language, { kind: "announce", channel, text }, target));
      expect(await subscriber.line()).toBe(`${channel}!${text}`);
    }
  });

  test.skipIf(!program)("subscribes to exactly the channel, and begins with its newest messages", async () => {
    const channel = `caf\u00e9/it's-$(x)-"${++names}"?#%2f&'`;
    const post = (body: string) => fetch(`${target.base}/${encodeURIComponent(channel)}`, { method: "POST", body });
    await post("before");
    const lines = start(language, snippetFor(language, { kind: "subscribe", channel, last: 20 }, target));
    const received = new Promise<void>((resolve) => {
      lines.on("line", (line) => {
        if (line.endsWith("before")) void post("after");
        if (line.endsWith("after")) resolve();
      });
    });
    await received;
  });

  test.skipIf(!program)("lists the members of exactly the channel", async () => {
    const channel = `caf\u00e9/it's-$(x)-"${++names}"?#%2f&'`;
    const member = await TestClient.connect(`${server.url}/${encodeURIComponent(channel)}`);
    onTestFinished(() => member.close());
    member.send(`enter ${channel} ann {"x":1}`);
    expect(await member.ping()).toEqual([]);
    const lines = start(language, snippetFor(language, { kind: "members", channel }, target));
    const line = await new Promise<string>((resolve) => lines.once("line", resolve));
    if (language === "JavaScript") expect(line).toBe('added ann {"x":1}');
    else expect(JSON.parse(line)).toMatchObject({ channel, count: 1, members: [{ member: "ann", data: '{"x":1}' }] });
  });

  test.skipIf(!program)("sends the token that it is given", async () => {
    const closed = await serveInTest({ settings: { TOKEN_SECRET: SECRET } });
    const token = await mint(EVERYTHING);
    const subscriber = await TestClient.connect(`${closed.url}/news?token=${token}`);
    onTestFinished(() => subscriber.close());
    const base = closed.url.replace(/^ws/, "http");
    const code = snippetFor(language, { kind: "announce", channel: "news", text: "hello" }, { base, needsToken: true });
    start(language, code.replace("paste the token here", token), { FANOUT_TOKEN: token });
    expect(await subscriber.line()).toBe("news!hello");
  });
});

/** Texts that can be a member's data. */
const DATA = HOSTILE.filter((text) => !text.includes("\r"));

test("JavaScript enters exactly the channel, with exactly the data", async () => {
  const channel = `caf\u00e9/it's-$(x)-"${++names}"?#%2f&'`;
  for (const data of DATA) {
    const watcher = await TestClient.connect(`${server.url}/${encodeURIComponent(`presence/${channel}`)}`);
    onTestFinished(() => watcher.close());
    const member = `it's"${++names}`;
    start("JavaScript", snippetFor("JavaScript", { kind: "enter", channel, member, data }, target));
    expect(await watcher.line()).toBe(`presence/${channel}!enter ${member} ${data}`);
    watcher.close();
  }
});

test.skipIf(!browser)("a script of a page announces exactly the text", async () => {
  const channel = `page'"<${++names}>`;
  const subscriber = await TestClient.connect(`${server.url}/${encodeURIComponent(channel)}`);
  onTestFinished(() => subscriber.close());
  let code = "";
  const pages = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(`<!doctype html><script type="module">${code}</script>`);
  });
  onTestFinished(() => void pages.close());
  const address = await listening(pages);
  const launched = await chromium.launch({ executablePath: browser ?? "", args: ["--no-sandbox"] });
  onTestFinished(() => launched.close());
  const page = await launched.newPage();
  for (const text of HOSTILE) {
    code = snippetFor("JavaScript", { kind: "announce", channel, text }, target);
    await page.goto(address);
    expect(await subscriber.line()).toBe(`${channel}!${text}`);
  }
});
