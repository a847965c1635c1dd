/** The Worker's entry: everything that the platform looks for. */
import type { Env } from "./workers/env.ts";
import { handle } from "./workers/handler.ts";

export { Channel } from "./workers/channel.ts";

export default { fetch: handle } satisfies ExportedHandler<Env>;
