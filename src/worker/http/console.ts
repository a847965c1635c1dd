/** The page for people: what a browser shows that is pointed at this server. */
import { PAGE, SCRIPT, STYLE } from "../console-built.ts";
import { accepts, favourite } from "../headers.ts";

/** Whether somebody has gone there with a browser: that wants a page before all else. */
export function wantsConsole(request: Request): boolean {
  return favourite(request) === "text/html" && accepts(request, "text/html");
}

/**
 * Answers with the page, which is the same for all channels and needs no token.
 * @param path what of the request's path is this server's own
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
      // The same address has something else for others.
      "Cache-Control": "no-cache",
      Vary: "Accept",
    },
  });
}

/** What the page may do: run its own script, and talk to this server. Not every browser takes `'self'` for WebSockets too. */
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

/** A path has no quotes and no brackets as they are. */
function escaped(path: string): string {
  return path.replaceAll("&", "&amp;");
}
