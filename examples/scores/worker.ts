/** A page with scores: everyone reads `match/<id>`, and only the backend announces. */
import { type Env as FanoutEnv, mount } from "fanout-edge/worker";
import { SignJWT } from "jose";

export { Channel } from "fanout-edge/worker";

interface Env extends FanoutEnv {
  TOKEN_SECRET?: string;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (!env.TOKEN_SECRET)
      return new Response("set TOKEN_SECRET; without it, everyone may announce\n", { status: 500 });
    const live = mount("/live", request, env);
    if (live) return live;
    if (new URL(request.url).pathname !== "/token") return new Response("there is no such page\n", { status: 404 });
    // All readers get the same grants, so browsers may store the token for a part of its hour.
    const token = new SignJWT({ subscribe: ["match/*"] }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h");
    const signed = await token.sign(new TextEncoder().encode(env.TOKEN_SECRET));
    return new Response(signed, { headers: { "Cache-Control": "max-age=600" } });
  },
};
