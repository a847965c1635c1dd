/** A stand-in for Cloudflare's API, as far as `wrangler deploy` needs it. */
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { listening } from "./listening.ts";

export interface Upload {
  path: string;
  metadata: Record<string, unknown> & { bindings: unknown[] };
}

export interface Cloudflare {
  /** What was uploaded, in that order. */
  readonly uploads: Upload[];
  /** The names of the secrets of every Worker, once there is one. */
  secrets: string[];
  /** The environment in which Wrangler uses the stand-in. */
  readonly environment: Record<string, string>;
  end(): void;
}

/** Starts the API of an account without Workers, which accepts every upload. */
export async function startCloudflare(): Promise<Cloudflare> {
  const uploads: Upload[] = [];
  const state = { uploads, secrets: ["TOKEN_SECRET"] };
  const api = createServer(async (request, response) => {
    const { status, ...answer } = await answerTo(request, state);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ success: status === 200, errors: [], messages: [], ...answer }));
  });
  const environment = {
    CI: "true",
    CLOUDFLARE_API_BASE_URL: await listening(api),
    CLOUDFLARE_API_TOKEN: "token",
    CLOUDFLARE_ACCOUNT_ID: "account",
    WRANGLER_SEND_METRICS: "false",
  };
  return Object.assign(state, { environment, end: () => void api.close() });
}

/** What different calls return of a Worker. */
const WORKER = {
  deployment_id: "0".repeat(32),
  default_environment: { environment: "production", script: { tag: "tag", last_deployed_from: "wrangler" } },
};

async function answerTo(request: IncomingMessage, { uploads, secrets }: Pick<Cloudflare, "uploads" | "secrets">) {
  const { method, url = "" } = request;
  const body = await text(request);
  if (method === "PUT") {
    const [, metadata = ""] = /name="metadata"\r\n\r\n(.*?)\r\n--/s.exec(body) ?? [];
    uploads.push({ path: url.replace(/\?.*/, ""), metadata: JSON.parse(metadata) });
  }
  if (/\/services\/|\/secrets$|\/scripts\/\w+\/settings$/.test(url) && uploads.length === 0)
    return { status: 404, result: null, errors: [{ code: 10007, message: "This Worker does not exist" }] };
  if (url.endsWith("/secrets")) return { status: 200, result: secrets.map((name) => ({ name, type: "secret_text" })) };
  const shown = { enabled: true, previews_enabled: false, ...WORKER };
  return { status: 200, result: { id: "id", deployments: [], items: [], bindings: [], ...shown, subdomain: "me" } };
}
