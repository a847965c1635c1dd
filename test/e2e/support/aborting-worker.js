/** The Worker, plus requests to `/!abort/<object>`, which crash that object. */
import worker, { Channel as Real } from "./worker.js";

const ABORT = "/!abort/";

export class Channel extends Real {
  #state;

  constructor(state, env) {
    super(state, env);
    this.#state = state;
  }

  abort() {
    this.#state.abort("crashed by a test");
  }
}

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith(ABORT)) return await worker.fetch(request, env, context);
    const name = decodeURIComponent(pathname.slice(ABORT.length));
    await env.CHANNEL.getByName(name)
      .abort()
      .catch(() => {});
    return new Response("crashed");
  },
};
