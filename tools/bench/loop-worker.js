/** The obvious implementation: an object that sends each message to each of its sockets as it arrives. */
import { DurableObject } from "cloudflare:workers";

export default {
  fetch(request, env) {
    return env.CHANNEL.getByName(new URL(request.url).pathname).fetch(request);
  },
};

export class Channel extends DurableObject {
  fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.send("debug!connected...\n");
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(sender, frame) {
    if (frame === "ping\n") return sender.send("0\n");
    const [, channel, message] = /^announce (\S+) (.+)$/.exec(frame);
    for (const socket of this.ctx.getWebSockets()) socket.send(`${channel}!${message}\n`);
  }
}
