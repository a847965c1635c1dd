/** A page that shows the pointers of all its visitors: Fanout below /live. */
import { type Env, mount } from "fanout-edge/worker";

export { Channel } from "fanout-edge/worker";

export default {
  fetch: (request: Request, env: Env) =>
    mount("/live", request, env) ?? new Response("there is no such page\n", { status: 404 }),
};
