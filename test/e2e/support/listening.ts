import { createServer, type Server } from "node:net";

/** Makes a test's own server listen on a free port; returns its URL. */
export async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server doesn't listen on a port");
  return `http://127.0.0.1:${address.port}`;
}

/** Returns a port that was free a moment ago. */
export async function freePort(): Promise<string> {
  const server = createServer();
  const { port } = new URL(await listening(server));
  await new Promise((resolve) => server.close(resolve));
  return port;
}
