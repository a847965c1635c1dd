/** The client's end of a socket into an object, held by this Worker. */
import type { OpenSocket } from "../streams/object-connection.ts";

/** Adapts the runtime's socket to streams. */
export function adaptSocket(socket: WebSocket): OpenSocket {
  return ({ received, ended }) => {
    socket.addEventListener("message", ({ data }) => received(String(data)));
    socket.addEventListener("close", ({ code, reason }) => ended({ code, reason }));
    socket.addEventListener("error", () => ended({ code: 1006, reason: "" }));
    socket.accept();
    return {
      send: (text) => quietly(() => socket.send(text)),
      close: () => quietly(() => socket.close(1000)),
    };
  };
}

/** Closes a socket that isn't needed. */
export function discardSocket(socket: WebSocket): void {
  quietly(() => socket.accept());
  quietly(() => socket.close(1000));
}

/** Ignores errors: a socket that the peer has closed throws, and its event ends the connection. */
function quietly(act: () => void): void {
  try {
    act();
  } catch {
    // See above.
  }
}
