/** What a server answers to a request for a WebSocket, which no WebSocket tells when it does not open. */
import { once } from "node:events";
import { request as requestPlainly } from "node:http";
import { request as requestWithTls } from "node:https";
import { text } from "node:stream/consumers";
import { type Address, urlOf } from "../address.ts";

export interface UpgradeAnswer {
  /** Of HTTP; 101 if it is granted. */
  status: number;
  /** The first line of what it says besides. */
  said: string;
  /** What the server agrees to of `Sec-WebSocket-Extensions`. */
  extensions: string;
}

/** RFC 6455, section 4.1: any 16 bytes. */
const KEY = Buffer.from("fanout: a doctor").toString("base64");

/**
 * @param more headers besides those of an upgrade
 * @throws Error if there is no answer in so many milliseconds
 */
export async function askToUpgrade(
  address: Address,
  channel: string,
  patience: number,
  more: Record<string, string> = {},
): Promise<UpgradeAnswer> {
  const url = urlOf(address, "http", channel, {});
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    ...more,
    ...(address.token === undefined ? {} : { Authorization: `Bearer ${address.token}` }),
  };
  const signal = AbortSignal.timeout(patience);
  const request = (url.startsWith("https") ? requestWithTls : requestPlainly)(url, { headers, signal });
  request.end();
  try {
    const granted = once(request, "upgrade", { signal }).then(([response, socket]) => {
      socket.destroy();
      const extensions: unknown = response.headers["sec-websocket-extensions"];
      return { status: 101, said: "", extensions: typeof extensions === "string" ? extensions : "" };
    });
    const answered = once(request, "response", { signal }).then(async ([response]) => {
      const [said = ""] = (await text(response)).trim().split("\n");
      return { status: Number(response.statusCode), said, extensions: "" };
    });
    return await Promise.race([granted, answered]);
  } finally {
    request.on("error", () => {});
    request.destroy();
  }
}
