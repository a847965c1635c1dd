/**
 * A server that issues tokens to its users, valid for an hour: each user may subscribe to `news`, `lobby` and their own
 * channel, and announce on `lobby`. `TOKEN_SECRET=… npx node examples/tokens/main.ts`, with the Fanout server's secret, then
 * `curl -H 'X-User: ann' http://localhost:3001/token`. A page whose site serves this path passes it to the client:
 * `new Fanout(url, { token: async () => (await fetch("/token")).text() })`.
 */
import { createServer, type IncomingMessage } from "node:http";
import { SignJWT } from "jose";

const { TOKEN_SECRET = "", PORT = "3001" } = process.env;
const secret = new TextEncoder().encode(TOKEN_SECRET);
if (secret.length < 32) throw new Error("TOKEN_SECRET is missing or too short; it needs 32 bytes");

/** Returns the user of a request. A real server would check the session; this one trusts a header. */
function userOf(request: IncomingMessage): string | undefined {
  const { "x-user": user } = request.headers;
  return typeof user === "string" && /^\w{1,64}$/.test(user) ? user : undefined;
}

/** Signs a token with a user's grants. */
function tokenFor(user: string): Promise<string> {
  const grants = { subscribe: ["news", "lobby", `user/${user}`], announce: ["lobby"] };
  return new SignJWT(grants).setProtectedHeader({ alg: "HS256" }).setSubject(user).setExpirationTime("1h").sign(secret);
}

const server = createServer(async (request, response) => {
  const user = userOf(request);
  const isAllowed = request.method === "GET" && request.url === "/token" && user !== undefined;
  response.writeHead(isAllowed ? 200 : 403, { "Content-Type": "text/plain", "Cache-Control": "no-store" });
  response.end(isAllowed ? await tokenFor(user) : "log in, then GET /token\n");
});
server.listen(Number(PORT), () => {
  const address = server.address();
  console.log(`http://localhost:${typeof address === "object" ? address?.port : PORT}/token issues tokens`);
});
