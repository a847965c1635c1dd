/** Requests a WebSocket by plain HTTP, because the WebSocket API doesn't report why one doesn't open. */
import { once } from "node:events";
import { request as requestPlainly } from "node:http";
import { request as requestWithTls } from "node:https";
import { text } from "node:stream/consumers";
import { type Address, urlOf } from "../address.ts";

export interface UpgradeAnswer {
  /** The HTTP status; 101 if the upgrade succeeds. */
  status: number;
  /** The first line of the body. */
  reason: string;
  /** The accepted `Sec-WebSocket-Extensions`. */
  extensions: string;
}

/** Any 16 bytes (RFC 6455, section 4.1). */
const KEY = Buffer.from("fanout: a doctor").toString("base64");

/**
 * @param timeout in milliseconds
 * @param more additional headers
 * @throws Error if the server doesn't answer in time
 */
export async function requestUpgrade(
  address: Address,
  channel: string,
  timeout: number,
  more: Record<string, string> = {},
): Promise<UpgradeAnswer> {
  const url = urlOf(address, channel);
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    ...more,
    ...(address.token === undefined ? {} : { Authorization: `Bearer ${address.token}` }),
  };
  const signal = AbortSignal.timeout(timeout);
  const request = (url.startsWith("https") ? requestWithTls : requestPlainly)(url, { headers, signal });
  request.end();
  try {
    const granted = once(request, "upgrade", { signal }).then(([response, socket]) => {
      socket.destroy();
      const extensions: unknown = response.headers["sec-websocket-extensions"];
      return { status: 101, reason: "", extensions: typeof extensions === "string" ? extensions : "" };
    });
    const answered = once(request, "response", { signal }).then(async ([response]) => {
      const [reason = ""] = (await text(response)).trim().split("\n");
      return { status: Number(response.statusCode), reason, extensions: "" };
    });
    return await Promise.race([granted, answered]);
  } finally {
    request.on("error", () => {});
    request.destroy();
  }
}
