/**
 * A server that lets its users in: whoever is logged in there gets a token for an hour, with which they hear what is
 * for all and for them, and speak in the lobby. `TOKEN_SECRET=… npx node examples/tokens/main.ts`, with the same secret
 * as the Fanout server's, then `curl -H 'X-User: ann' http://localhost:3001/token`.
 */
import { createServer, type IncomingMessage } from "node:http";
import { SignJWT } from "jose";

const { TOKEN_SECRET = "", PORT = "3001" } = process.env;
const secret = new TextEncoder().encode(TOKEN_SECRET);
if (secret.length < 32) throw new Error("TOKEN_SECRET has to be there, with 32 bytes or more");

/** Who asks. Here everybody is who they say: a real server looks into its sessions. */
function userOf(request: IncomingMessage): string | undefined {
  const { "x-user": user } = request.headers;
  return typeof user === "string" && /^\w{1,64}$/.test(user) ? user : undefined;
}

/** What a user may do, signed. */
function tokenFor(user: string): Promise<string> {
  const grants = { subscribe: ["news", "lobby", `user/${user}`], announce: ["lobby"] };
  return new SignJWT(grants)
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime("1h")
    .sign(secret);
}

const server = createServer(async (request, response) => {
  const user = userOf(request);
  const isAsked = request.method === "GET" && request.url === "/token" && user !== undefined;
  response.writeHead(isAsked ? 200 : 403, { "Content-Type": "text/plain", "Cache-Control": "no-store" });
  response.end(isAsked ? await tokenFor(user) : "log in, then GET /token\n");
});
server.listen(Number(PORT), () => {
  const address = server.address();
  console.log(`http://localhost:${typeof address === "object" ? address?.port : PORT}/token gives tokens`);
});
