/** The clients' ends of sockets into objects, held by this Worker. */
import type { Budget } from "../streams/backlog.ts";
import type { StreamEnvironment } from "../streams/environment.ts";
import { ObjectConnection } from "../streams/object-connection.ts";

/** What streams use of this Worker's runtime. */
export const STREAM_ENVIRONMENT: StreamEnvironment = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (milliseconds, act) => {
    const timer = setTimeout(act, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Returns the connection over a socket that an object has accepted. */
export function connectionOver(socket: WebSocket, budget: Budget): ObjectConnection {
  const end = {
    send: (text: string) => quietly(() => socket.send(text)),
    close: () => quietly(() => socket.close(1000)),
  };
  const connection = new ObjectConnection(end, STREAM_ENVIRONMENT, budget);
  socket.addEventListener("message", ({ data }) => connection.received(String(data)));
  socket.addEventListener("close", (ending) => connection.end(ending));
  socket.addEventListener("error", () => connection.end({ code: 1006, reason: "" }));
  socket.accept();
  return connection;
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
