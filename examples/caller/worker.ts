/** Another Worker of the same account. It announces each of its requests by RPC instead of HTTP. */
import type { Fanout } from "fanout-edge/worker";

interface Env {
  FANOUT: Service<Fanout>;
}

export default {
  async fetch(request: Request, { FANOUT }: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    const key = request.headers.get("Idempotency-Key") ?? undefined;
    const position = await FANOUT.announce("visits", `a visit to ${pathname}`, { key });
    const { "current connections": connections } = await FANOUT.info();
    return Response.json({ position, connections });
  },
};
