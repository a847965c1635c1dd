/**
 * A backend in Node that announces each accepted order, and retries safely with a key.
 * `FANOUT_URL=http://localhost:8787 npx node examples/backend/main.ts`, then
 * `curl -d '{"id": 7, "what": "tea"}' http://localhost:3000/orders`; subscribers of `orders` receive it once.
 */
import { createServer, type IncomingMessage } from "node:http";
import { json as bodyOf } from "node:stream/consumers";
// In a project of your own this is "fanout-edge/client".
import { Fanout, json, Refused } from "../../src/client/fanout.ts";

const { FANOUT_URL = "http://localhost:8787", FANOUT_TOKEN, PORT = "3000" } = process.env;

/** The timeout for announcing an order, in milliseconds. */
const TIMEOUT = 10_000;

interface Order {
  id: number;
  what: string;
}

function isOrder(value: unknown): value is Order {
  if (typeof value !== "object" || value === null || !("id" in value && "what" in value)) return false;
  return typeof value.id === "number" && typeof value.what === "string";
}

/** One client, and so one connection, for the whole process. */
const fanout = new Fanout(FANOUT_URL, { token: FANOUT_TOKEN, codec: json<Order>() });

async function accept(order: Order): Promise<[status: number, text: string]> {
  try {
    // A real backend would store the order here. With the key, announcing it again is safe.
    await fanout.announce("orders", order, { key: `order-${order.id}`, timeout: TIMEOUT });
    return [202, "the order is accepted"];
  } catch (error) {
    if (!(error instanceof Refused)) return [400, String(error)];
    return [502, `the order may not have been announced; send it again (${error.code}: ${error.message})`];
  }
}

async function handle(request: IncomingMessage): Promise<[status: number, text: string]> {
  if (request.method !== "POST" || request.url !== "/orders") return [404, "POST an order to /orders"];
  const order: unknown = await bodyOf(request).catch(() => undefined);
  return isOrder(order) ? accept(order) : [400, 'an order looks like {"id": 7, "what": "tea"}'];
}

const server = createServer(async (request, response) => {
  const [status, text] = await handle(request);
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${text}\n`);
});
server.listen(Number(PORT), () => {
  const address = server.address();
  console.log(`http://localhost:${typeof address === "object" ? address?.port : PORT}/orders accepts orders`);
});

process.once("SIGTERM", async () => {
  server.close();
  // Wait up to two seconds for pending announcements.
  await fanout.close({ within: 2_000 });
  process.exit();
});
