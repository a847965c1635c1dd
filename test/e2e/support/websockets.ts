/** Runs conformance cases over WebSockets, with the `ws` package. */
import { once } from "node:events";
import { WebSocket } from "ws";
import type { Connect } from "../../conformance/case.ts";

/** Opens WebSockets at a server's URL. */
export function webSocketsTo(url: string): Connect {
  return async (path, receiver) => {
    const socket = new WebSocket(url + path);
    socket.on("message", (data, isBinary) => receiver.frame(isBinary ? data : data.toString()));
    const closed = new Promise<void>((resolve) => {
      socket.on("close", (code, reason) => {
        receiver.closed(code, reason.toString());
        resolve();
      });
    });
    // Errors after the opening are followed by a close event, which reports them.
    socket.on("error", () => {});
    await once(socket, "open");
    return {
      send: (frame) => socket.send(frame),
      close: () => {
        socket.close(1000);
        return closed;
      },
    };
  };
}
