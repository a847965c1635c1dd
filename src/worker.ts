/** The Worker's entry point, with the exports that the platform requires. */
import type { Env } from "./worker/env.ts";
import { handle } from "./worker/routes.ts";

export { Channel } from "./durable-object/channel.ts";
export { Fanout } from "./worker/entrypoint.ts";

export default { fetch: (request: Request, env: Env) => handle(request, env) } satisfies ExportedHandler<Env>;
