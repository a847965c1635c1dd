/** Runs conformance cases over WebSockets, with the `ws` package. */
import type { IncomingMessage } from "node:http";
import { type ClientOptions, WebSocket } from "ws";
import type { Connect } from "../../conformance/case.ts";

/** The options of `ws`, and one more. */
export interface WebSocketOptions extends ClientOptions {
  /** How long the server may take to close the TCP connection after the client's close frame, in milliseconds. */
  closeTimeout?: number;
}

/** A response that refuses an upgrade. */
export class Refusal extends Error {
  readonly status: number;
  /** The first line of a text response; empty for an HTML page. */
  readonly body: string;

  constructor(status: number, body: string) {
    super(`the server answered ${status}: ${body}`);
    this.status = status;
    this.body = body;
  }
}

/**
 * Opens WebSockets at a server's URL.
 * @returns a function that throws Refusal if the server refuses the upgrade
 */
export function webSocketsTo(url: string, options: WebSocketOptions = {}): Connect {
  return async (path, receiver) => {
    const socket = new WebSocket(url + path, options);
    socket.on("message", (data, isBinary) => receiver.frame(isBinary ? data : data.toString()));
    const closed = new Promise<void>((resolve) => {
      socket.on("close", (code, reason) => {
        receiver.closed(code, reason.toString());
        resolve();
      });
    });
    await opening(socket);
    return {
      send: (frame) => socket.send(frame),
      close: () => {
        socket.close(1000);
        return closed;
      },
    };
  };
}

function opening(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("open", resolve);
    // Later errors are followed by a close event, which reports them.
    socket.on("error", reject);
    socket.once("unexpected-response", (_, response) => {
      refusalIn(response).then(reject, reject);
    });
  });
}

/** Reads no more of a response than needed, and closes it. */
async function refusalIn(response: IncomingMessage): Promise<Refusal> {
  const isText = response.headers["content-type"]?.startsWith("text/plain");
  let body = "";
  for await (const chunk of response) {
    body += String(chunk);
    if (body.includes("\n") || body.length > 1000) break;
  }
  const [line = ""] = body.split("\n");
  return new Refusal(response.statusCode ?? 0, isText ? line.trim() : "");
}
