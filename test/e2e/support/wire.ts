/** How plays are performed by the `ws` package. */
import type { IncomingMessage } from "node:http";
import { type ClientOptions, WebSocket } from "ws";
import type { Connect } from "../../conformance/case.ts";

/** Besides what `ws` is told to let one choose. */
export interface WireOptions extends ClientOptions {
  /** Milliseconds that the server has to close the network connection after its client asked to be closed. */
  closeTimeout?: number;
}

/** An answer to a request for an upgrade that is none. */
export class Refusal extends Error {
  readonly status: number;
  /** The first line of a text; a page says nothing. */
  readonly said: string;

  constructor(status: number, said: string) {
    super(`the answer is ${status}: ${said}`);
    this.status = status;
    this.said = said;
  }
}

/**
 * Opens WebSockets at a server's address.
 * @returns what throws Refusal where the server answers something else
 */
export function wiresTo(url: string, options: WireOptions = {}): Connect {
  return async (path, ear) => {
    const socket = new WebSocket(url + path, options);
    socket.on("message", (data, isBinary) => ear.frame(isBinary ? data : data.toString()));
    const closed = new Promise<void>((resolve) => {
      socket.on("close", (code, reason) => {
        ear.closed(code, reason.toString());
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
    // Also what goes wrong later, of which the close tells.
    socket.on("error", reject);
    socket.once("unexpected-response", (_, response) => {
      refusalIn(response).then(reject, reject);
    });
  });
}

/** Reads no more of an answer than it takes, and so ends it. */
async function refusalIn(response: IncomingMessage): Promise<Refusal> {
  const isText = response.headers["content-type"]?.startsWith("text/plain");
  let said = "";
  for await (const chunk of response) {
    said += String(chunk);
    if (said.includes("\n") || said.length > 1000) break;
  }
  const [line = ""] = said.split("\n");
  return new Refusal(response.statusCode ?? 0, isText ? line.trim() : "");
}
