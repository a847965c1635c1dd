/** Another Worker of the same account, which announces without HTTP: for each request, that there was one. */
import type { Fanout } from "fanout-edge/worker";

interface Env {
  FANOUT: Service<Fanout>;
}

export default {
  async fetch(request: Request, { FANOUT }: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    const key = request.headers.get("Idempotency-Key");
    const position = await FANOUT.announce(
      "visits",
      [`somebody came to ${pathname}`],
      key === null ? {} : { key },
    );
    const { "current connections": connections } = await FANOUT.info();
    return Response.json({ position, connections });
  },
};
