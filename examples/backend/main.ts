/**
 * A backend in Node that announces each order that it accepts, by a POST that may be repeated.
 * `FANOUT_URL=http://localhost:8787 npx node examples/backend/main.ts`, then
 * `curl -d '{"id": 7, "what": "tea"}' http://localhost:3000/orders`; subscribers of `orders` receive it once.
 */
import { createServer, type IncomingMessage } from "node:http";
import { json as bodyOf } from "node:stream/consumers";
// In a project of your own this is "fanout-edge/client".
import { Fanout, json, Refused } from "../../src/client/fanout.ts";

const { FANOUT_URL = "http://localhost:8787", FANOUT_TOKEN, PORT = "3000" } = process.env;

/** How long announcing an order may take, in milliseconds. */
const TIMEOUT = 10_000;

interface Order {
  id: number;
  what: string;
}

function isOrder(value: unknown): value is Order {
  if (typeof value !== "object" || value === null || !("id" in value && "what" in value)) return false;
  return typeof value.id === "number" && typeof value.what === "string";
}

/** One client for the whole process, which keeps its connection. */
const fanout = new Fanout(FANOUT_URL, { token: FANOUT_TOKEN, codec: json<Order>() });

async function accept(order: Order): Promise<[status: number, answer: string]> {
  try {
    // Here a real backend stores the order. The key makes it safe to announce it again.
    await fanout.announce("orders", order, { key: `order-${order.id}`, timeout: TIMEOUT });
    return [202, "the order is accepted"];
  } catch (error) {
    if (!(error instanceof Refused)) return [400, String(error)];
    return [502, `the order may not be announced; send it again (${error.code}: ${error.message})`];
  }
}

async function answer(request: IncomingMessage): Promise<[status: number, answer: string]> {
  if (request.method !== "POST" || request.url !== "/orders") return [404, "POST an order to /orders"];
  const order: unknown = await bodyOf(request).catch(() => undefined);
  return isOrder(order) ? accept(order) : [400, 'an order looks like {"id": 7, "what": "tea"}'];
}

const server = createServer(async (request, response) => {
  const [status, text] = await answer(request);
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${text}\n`);
});
server.listen(Number(PORT), () => {
  const address = server.address();
  console.log(`http://localhost:${typeof address === "object" ? address?.port : PORT}/orders takes orders`);
});

process.once("SIGTERM", async () => {
  server.close();
  // Announcements that are pending get two seconds.
  await fanout.close({ within: 2_000 });
  process.exit();
});
