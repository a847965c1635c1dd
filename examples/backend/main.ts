/**
 * A backend in Node that announces what happens: each order that it takes, by a POST that may be repeated.
 * `FANOUT_URL=http://localhost:8787 npx node examples/backend/main.ts`, then
 * `curl -d '{"id": 7, "what": "tea"}' http://localhost:3000/orders`; who listens to `orders` hears of it.
 */
import { createServer, type IncomingMessage } from "node:http";
import { json } from "node:stream/consumers";

const { FANOUT_URL = "http://localhost:8787", FANOUT_TOKEN, PORT = "3000" } = process.env;

/** How often it is tried to announce, and how long that may take each time, in milliseconds. */
const TRIES = 5;
const PATIENCE = 5_000;

interface Order {
  id: number;
  what: string;
}

function isOrder(value: unknown): value is Order {
  if (typeof value !== "object" || value === null || !("id" in value && "what" in value)) return false;
  return typeof value.id === "number" && typeof value.what === "string";
}

/** Announces an order once, however often that is tried. @throws Error if it cannot be */
async function announce(order: Order): Promise<void> {
  const headers: Record<string, string> = { "Idempotency-Key": `order-${order.id}` };
  if (FANOUT_TOKEN !== undefined) headers.Authorization = `Bearer ${FANOUT_TOKEN}`;
  let why = "";
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const body = JSON.stringify(order);
      const response = await fetch(`${FANOUT_URL}/orders`, { method: "POST", body, headers, signal });
      if (response.ok) return;
      why = (await response.text()).trim();
      if (response.status < 500 && response.status !== 429) break;
    } catch (error) {
      why = String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** tries));
  }
  throw new Error(why);
}

async function answer(request: IncomingMessage): Promise<[status: number, said: string]> {
  if (request.method !== "POST" || request.url !== "/orders") return [404, "POST an order to /orders"];
  const order: unknown = await json(request).catch(() => undefined);
  if (!isOrder(order)) return [400, 'an order looks like {"id": 7, "what": "tea"}'];
  // Here it would be stored; to announce it again later does no harm.
  return announce(order).then(
    () => [202, "it will be made"],
    (error: Error) => [502, `nobody could be told of it: ${error.message}`],
  );
}

const server = createServer(async (request, response) => {
  const [status, said] = await answer(request);
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${said}\n`);
});
server.listen(Number(PORT), () => {
  const address = server.address();
  console.log(`http://localhost:${typeof address === "object" ? address?.port : PORT}/orders takes orders`);
});
