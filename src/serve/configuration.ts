/** The runtime's configuration. Its paths are relative to the folder of the server's data, where the runtime starts. */

/** The platform's rules by which the Worker runs, as in wrangler.toml. */
export const COMPATIBILITY = {
  date: "2026-10-01",
  flags: ["no_web_socket_compression", "enable_request_signal"],
};

export const CONFIGURATION = "config.capnp";
export const WORKER = "server.js";
export const STORAGE = "storage";

/** The schema of configurations, which the runtime contains. */
const SCHEMA = '"/workerd/workerd.capnp"';

/**
 * Returns the configuration.
 * @param settings names of variables of the runtime's environment, so that no file has their values
 * @param address where the server listens, unless the runtime's arguments say otherwise
 */
export function configurationFor(settings: string[], address?: string): string {
  const variables = settings.map((name) => `    (name = "${name}", fromEnvironment = "${name}"),\n`).join("");
  const listener = address === undefined ? "" : `address = "${address}", `;
  return `using Workerd = import ${SCHEMA};
const config :Workerd.Config = (
  services = [
    (name = "fanout", worker = .fanout),
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
    (name = "${STORAGE}", disk = (path = "${STORAGE}", writable = true)),
  ],
  sockets = [(name = "http", ${listener}http = (), service = "fanout")],
);
const fanout :Workerd.Worker = (
  modules = [(name = "${WORKER}", esModule = embed "${WORKER}")],
  compatibilityDate = "${COMPATIBILITY.date}",
  compatibilityFlags = ${JSON.stringify(COMPATIBILITY.flags)},
  bindings = [
    (name = "CHANNEL", durableObjectNamespace = "Channel"),
${variables}  ],
  durableObjectNamespaces = [(className = "Channel", uniqueKey = "fanout", enableSql = true)],
  durableObjectStorage = (localDisk = "${STORAGE}"),
);
`;
}
