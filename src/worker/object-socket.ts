/** The client's end of a socket into an object, held by this Worker. */
import type { OpenSocket } from "../streams/object-connection.ts";

/** Returns a function that accepts a socket. */
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

/** Ends a connection that nothing is wanted of. */
export function discardSocket(socket: WebSocket): void {
  quietly(() => socket.accept());
  quietly(() => socket.close(1000));
}

/** A socket that has been closed at the other end takes nothing any more, and throws; its event ends the connection. */
function quietly(act: () => void): void {
  try {
    act();
  } catch {
    // See above.
  }
}
