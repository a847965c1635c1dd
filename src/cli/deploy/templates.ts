/** The files of a deployed server that `fanout deploy` writes. */
import { COMPATIBILITY } from "../../serve/configuration.ts";

/** Files with this text are from an earlier run. */
export const MARK = "Written by fanout deploy";

export const WORKER_FILE = "worker.js";

const MODULE = JSON.stringify("fanout-edge/worker");

export const WORKER = `// ${MARK}.
import { mount } from ${MODULE};
export { Channel, Fanout } from ${MODULE};
export default { fetch: (request, env) => mount("/", request, env) };
`;

const SECRETS = `
# Without this secret, Wrangler refuses to deploy, because the server would be open to everyone.
[secrets]
required = ["TOKEN_SECRET"]
`;

/** @param isOpen whether everyone who knows the server's address may use it */
export function configurationOf(name: string, isOpen: boolean): string {
  return `# ${MARK}. Change it as you like, except for this line: the next run deploys it with your changes.
name = "${name}"
main = "${WORKER_FILE}"
compatibility_date = "${COMPATIBILITY.date}"
# Compression costs memory and leaks the lengths of secrets; the signal reports clients that leave a stream.
compatibility_flags = ${JSON.stringify(COMPATIBILITY.flags).replace(",", ", ")}
# A domain of your Cloudflare account:
# routes = [{ pattern = "live.example.com", custom_domain = true }]
${isOpen ? "" : SECRETS}
# Requests may have tokens in the query or in headers; keep both out of the logs.
[observability]
enabled = true
redact_query_string = true

[observability.logs]
enabled = true
invocation_logs = false

[[durable_objects.bindings]]
name = "CHANNEL"
class_name = "Channel"

# On the free plan, objects need SQLite storage, and a [limits] block isn't allowed.
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Channel"]

# Settings. Without ALLOWED_ORIGINS, only pages of the server's own address may connect; "*" admits all.
[vars]
# ALLOWED_ORIGINS = "https://example.com http://localhost:5173"
# CLIENT_LIMIT = "1000"
# LINES_PER_SECOND = "1000"
`;
}
