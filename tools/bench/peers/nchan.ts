/** nginx's module nchan over WebSockets. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clientFrame } from "../websocket.ts";
import { exists, find, output, type Peer } from "./peer.ts";

const MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** Paths for files that nginx wants to be able to write. */
const PATHS = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);

export const NCHAN: Peer = {
  name: "nchan",
  configuration: "nginx with nchan over WebSockets, one process, 1,000 messages per channel in memory",
  install: "apt-get install nginx-light libnginx-mod-nchan",
  protocol: {
    path: (home) => `/${home}`,
    introduction: () => Buffer.alloc(0),
    announcement: (_, message) => clientFrame(message),
    delivery: (_, message) => Buffer.from(message),
  },
  async version() {
    const program = (await exists(MODULE)) ? await find("nginx") : undefined;
    if (program === undefined) return undefined;
    const [, nginx = ""] = /nginx version: (\S+)/.exec(await output(program, "-v")) ?? [];
    return `${nginx} with nchan ${await output("dpkg-query", "-W", "-f", `\${Version}`, "libnginx-mod-nchan")}`;
  },
  async command(port, folder) {
    const file = join(folder, "nginx.conf");
    await writeFile(
      file,
      `daemon off;
master_process off;
pid nginx.pid;
load_module ${MODULE};
worker_rlimit_nofile 65536;
events { worker_connections 16384; }
http {
  access_log off;
  ${PATHS.join(" ")}
  nchan_message_buffer_length 1000;
  server {
    listen 127.0.0.1:${port};
    location ~ ^/(.+)$ { nchan_pubsub websocket; nchan_channel_id $1; nchan_subscriber_first_message newest; }
  }
}
`,
    );
    return [(await find("nginx")) ?? "", "-c", file, "-p", folder, "-e", "stderr"];
  },
};
