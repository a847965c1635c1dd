/** The console: the page that browsers show at the server's addresses. */
import { PAGE, SCRIPT, STYLE } from "../console-built.ts";
import { accepts, preferredType } from "../headers.ts";

/** Whether a browser navigates to the address, and so prefers HTML. */
export function wantsConsole(request: Request): boolean {
  return preferredType(request) === "text/html" && accepts(request, "text/html");
}

/**
 * Returns the page, which is the same for all channels and needs no token.
 * @param path the part of the request's path that is below the server's prefix
 */
export function consolePage(request: Request, path: string): Response {
  const { pathname, host, protocol } = new URL(request.url);
  const prefix = pathname.endsWith(path) ? pathname.slice(0, -path.length) : pathname;
  const page = PAGE.replace('name="prefix" content=""', () => `name="prefix" content="${escaped(prefix)}"`);
  return new Response(page, {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": policy(protocol === "https:" ? "wss" : "ws", host),
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      // Other clients get other content at the same address.
      "Cache-Control": "no-cache",
      Vary: "Accept",
    },
  });
}

/** Allows the page its own script, and requests to this server. Some browsers don't apply `'self'` to WebSockets. */
function policy(scheme: string, host: string): string {
  const socket = /^[\w.:[\]-]+$/.test(host) ? ` ${scheme}://${host}` : "";
  return [
    "default-src 'none'",
    `script-src '${SCRIPT}'`,
    `style-src '${STYLE}'`,
    "img-src data:",
    `connect-src 'self'${socket}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Escapes a path for HTML; it can't contain quotes or angle brackets. */
function escaped(path: string): string {
  return path.replaceAll("&", "&amp;");
}
