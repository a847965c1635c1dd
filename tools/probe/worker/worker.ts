/** Passes requests with the key to the object named in the path. */
import { textOf } from "./errors.ts";
import type { Env } from "./host.ts";
import { stream } from "./sockets.ts";

export { Probe } from "./object.ts";

export default {
  async fetch(request, env) {
    const isAllowed = env.KEY && request.headers.get("Authorization") === `Bearer ${env.KEY}`;
    if (!isAllowed) return new Response("The key is missing or wrong.\n", { status: 401 });
    const object = env.PROBE.getByName(new URL(request.url).pathname.slice(1));
    try {
      if (request.headers.get("Accept") === "text/event-stream") return await stream(object, request.url);
      return await object.fetch(request);
    } catch (error) {
      return new Response(textOf(error), { status: 500 });
    }
  },
} satisfies ExportedHandler<Env>;
