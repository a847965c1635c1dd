/** The Worker's entry: everything that the platform looks for. */
import type { Env } from "./workers/env.ts";
import { handle } from "./workers/handler.ts";

export { Channel } from "./workers/channel.ts";
export { Fanout } from "./workers/entrypoint.ts";

export default { fetch: (request: Request, env: Env) => handle(request, env) } satisfies ExportedHandler<Env>;
