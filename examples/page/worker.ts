/** A page with a chat: Fanout below /live, and the files in public/ at all other paths. */
import { type Env as FanoutEnv, mount } from "fanout-edge/worker";

export { Channel } from "fanout-edge/worker";

interface Env extends FanoutEnv {
  ASSETS: Fetcher;
}

export default {
  fetch: (request: Request, env: Env) => mount("/live", request, env) ?? env.ASSETS.fetch(request),
};
