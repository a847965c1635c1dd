/** Measures how many messages per second a loop over a client library's subscription reads: `node tools/bench/iterating.ts`. */
import { Fanout, type WebSocketLike } from "../../src/client/fanout.ts";

const MESSAGES = 2_000_000;
/** Messages of 32 bytes per frame, as a busy server sends them. */
const TOGETHER = 1_000;

/** A server that sends messages as fast as they are read. */
class Endless implements WebSocketLike {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;

  constructor() {
    const frame = `news!${"x".repeat(32)}\n`.repeat(TOGETHER);
    let sent = 0;
    const send = () => {
      this.onmessage?.({ data: frame });
      sent += TOGETHER;
      if (sent < MESSAGES) setImmediate(send);
    };
    setImmediate(() => {
      this.onmessage?.({ data: "debug!connected...\ndebug!position news 0\n" });
      send();
    });
  }

  send(): void {}
  close(): void {}
}

const fanout = new Fanout("ws://localhost", { WebSocket: Endless });
let read = 0;
const began = performance.now();
for await (const { position } of fanout.subscribe("news")) {
  read += 1;
  if (position === MESSAGES) break;
}
const seconds = (performance.now() - began) / 1_000;
console.log(`${read} messages in ${seconds.toFixed(2)} s: ${Math.round(read / seconds)} per second`);
await fanout.close();
