/** Where the server listens. */
import { createServer, type Server } from "node:net";
import { codeIn, reasonOf, ServeFault } from "./fault.ts";

/** An address at which the server can listen. */
export interface Listener {
  /** An IP address. */
  host: string;
  port: number;
}

/** Resolves a host, and checks that its port is free: the runtime's own errors are harder to explain. @throws ServeFault */
export async function listenerAt(host: string, port: number): Promise<Listener> {
  const probe = createServer();
  try {
    return { host: await listen(probe, host.replace(/^\[(.*)\]$/, "$1"), port), port };
  } catch (error) {
    throw new ServeFault(whyNot(error, host, port), codeIn(error) === "EADDRINUSE");
  } finally {
    await new Promise((resolve) => probe.close(resolve));
  }
}

/** Returns the IP address at which the server listens. */
function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      resolve(address !== null && typeof address === "object" ? address.address : host);
    });
  });
}

function whyNot(error: unknown, host: string, port: number): string {
  switch (codeIn(error)) {
    case "EADDRINUSE":
      return `port ${port} is in use; choose another one with --port, or 0 for any free port`;
    case "EACCES":
      return `port ${port} needs more rights; choose one from 1024 on with --port, behind a reverse proxy`;
    case "EADDRNOTAVAIL":
      return `'${host}' isn't an address of this machine; --host takes one, or 0.0.0.0 for all`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `'${host}' isn't a host that this machine knows; --host takes an address of this machine, or 0.0.0.0 for all`;
    default:
      return `the server can't listen at ${host}, port ${port}: ${reasonOf(error)}`;
  }
}

/** Whether only programs on this machine can connect. */
export function isLoopback(host: string): boolean {
  return /^(127\.|::1$|::ffff:127\.)/.test(host);
}

/** Returns the URL at which programs on this machine reach the server. */
export function urlOf({ host, port }: Listener): string {
  if (host === "0.0.0.0" || host === "127.0.0.1") return `http://127.0.0.1:${port}`;
  if (host === "::") return `http://[::1]:${port}`;
  return `http://${inUrl(host)}:${port}`;
}

/** Returns an IP address as URLs have it. */
export function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
