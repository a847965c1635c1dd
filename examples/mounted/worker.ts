/** A site with Fanout below /live: wss://host/live/news, POST https://host/live/news. */
import { type Env, mount } from "fanout-edge/worker";

export { Channel } from "fanout-edge/worker";

export default {
  fetch: (request: Request, env: Env) => mount("/live", request, env) ?? new Response("A page of the site.\n"),
};
