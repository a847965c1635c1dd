/** Whether a server works: two clients have a short conversation there, on channels of their own. */
import { randomUUID } from "node:crypto";
import { type Case, type Connect, runCase, TIME, UnexpectedLine } from "../../test/conformance/case.ts";
import { alice, bob } from "../../test/conformance/clients.ts";
import { Refusal, type WireOptions, wiresTo } from "../../test/e2e/support/wire.ts";

/** What has been found out. */
export interface Finding {
  works: boolean;
  /** That, or what is wrong, in a line. */
  says: string;
}

/** Channels that begin so are used. */
const CHANNELS = "smoke-test/";

/** How many milliseconds the answer to a request for an upgrade may take, and a line. */
const PATIENCE = { upgrade: 10_000, line: 10_000 };

/**
 * Tries a server out. It hears of two connections and three channels, of which nothing stays.
 * @param address as deploying prints it; what follows the host does not matter
 * @param token where one is needed
 */
export async function smoke(
  address: string,
  token: string | undefined,
  patience: Partial<typeof PATIENCE> = {},
): Promise<Finding> {
  const url = socketsAt(address);
  if (url === undefined) return { works: false, says: noAddress(address) };
  const { upgrade, line } = { ...PATIENCE, ...patience };
  const options: WireOptions = { handshakeTimeout: upgrade, closeTimeout: 1_000 };
  if (token) options.headers = { Authorization: `Bearer ${token}` };
  const began = performance.now();
  try {
    await runCase(conversation(CHANNELS + randomUUID()), deafToAll(wiresTo(url, options)), line);
  } catch (error) {
    return { works: false, says: whatIsWrong(address, error) };
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  return { works: true, says: `${address} works: two clients heard each other. (${seconds} s)` };
}

/** Where to open WebSockets; undefined if an address is none. */
function socketsAt(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const { protocol, host } = new URL(address);
  const [, secure] = /^(?:http|ws)(s?):$/.exec(protocol) ?? [];
  return secure === undefined ? undefined : `ws${secure}://${host}`;
}

function noAddress(text: string): string {
  const what = text === "" ? "The address is missing" : `'${text}' is no address of a server`;
  return `${what}: npm run smoke -- https://fanout.example.workers.dev`;
}

/** At home in two objects, they hear each other on a channel of each, and what they left is silent. */
function conversation(channel: string): Case {
  const other = `${channel}/other`;
  return {
    title: "two clients hear each other",
    steps: [
      alice.connects(`/${channel}`),
      bob.connects(`/${other}`),
      bob.sends(`subscribe ${channel}\nping`),
      bob.reads(TIME),
      alice.sends(`announce ${channel} one`),
      alice.reads(`${channel}!one`),
      bob.reads(`${channel}!one`),
      bob.sends(`announce ${channel} two`, `unsubscribe ${channel}`, `announce ${channel} three`),
      bob.reads(`${channel}!two`),
      alice.reads(`${channel}!two`, `${channel}!three`),
      alice.sends(`subscribe ${other}`, `announce ${other} four`),
      alice.reads(`${other}!four`),
      bob.reads(`${other}!four`),
    ],
  };
}

/** On a server in use, anybody may announce on `all` meanwhile. */
function deafToAll(connect: Connect): Connect {
  return (path, ear) =>
    connect(path, {
      closed: (code, reason) => ear.closed(code, reason),
      frame: (frame) => {
        const rest = typeof frame === "string" ? withoutAll(frame) : frame;
        if (rest !== "") ear.frame(rest);
      },
    });
}

function withoutAll(frame: string): string {
  const lines = frame.split("\n");
  return lines.filter((line) => !line.startsWith("all!")).join("\n");
}

function whatIsWrong(address: string, error: unknown): string {
  if (error instanceof Refusal)
    return `${address} refuses the connection (${error.status}). ${why(error)}`.trim();
  if (error instanceof UnexpectedLine) return `${address} does not answer as Fanout does: ${error.message}`;
  return `Cannot connect to ${address}: ${reason(error)}`;
}

function why({ status, said }: Refusal): string {
  if (status === 401 || status === 403) {
    return `${said} Set TOKEN to a token that may subscribe to and announce on '${CHANNELS}*'.`.trim();
  }
  return status >= 500 ? said : "It does not seem to be Fanout.";
}

/** Where a name has several addresses of which none answers, the error has a code only. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== "" || !("code" in error)) return error.message.trim();
  return String(error.code);
}
