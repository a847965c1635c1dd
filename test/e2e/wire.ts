/** How plays are performed by the `ws` package. */
import { once } from "node:events";
import { WebSocket } from "ws";
import type { Connect } from "../plays/play.ts";

/** Opens WebSockets at a server's address. */
export function wiresTo(url: string): Connect {
  return async (path, ear) => {
    const socket = new WebSocket(url + path);
    socket.on("message", (data, isBinary) => ear.frame(isBinary ? data : data.toString()));
    const closed = new Promise<void>((resolve) => {
      socket.on("close", (code, reason) => {
        ear.closed(code, reason.toString());
        resolve();
      });
    });
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
