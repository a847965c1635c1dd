/**
 * A minimal server that forwards each batch of messages as one frame per connection, without any bookkeeping, to
 * measure the limit of the load generator. Writes its port to standard output.
 */
import { createServer, type Socket } from "node:net";

const HEADER = 6;

const rooms = new Map<string, { sockets: Set<Socket>; lines: string }>();

createServer((socket) => {
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.once("data", (request) => {
    const [, path = "/"] = request.toString().split(" ");
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    socket.write(frame("debug!connected...\n"));
    const room = rooms.get(path) ?? { sockets: new Set(), lines: "" };
    rooms.set(path, room);
    room.sockets.add(socket);
    socket.once("close", () => room.sockets.delete(socket));

    let unread = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      let bytes = Buffer.concat([unread, Buffer.from(chunk)]);
      while (bytes.length > 1 && bytes.length >= HEADER + (bytes.readUInt8(1) & 127)) {
        const end = HEADER + (bytes.readUInt8(1) & 127);
        const text = bytes.toString("latin1", HEADER, end);
        if (text === "ping\n") socket.write(frame("0\n"));
        else {
          if (room.lines === "") setImmediate(flush, room);
          room.lines += `${text.slice("announce ".length).replace(" ", "!")}\n`;
        }
        bytes = bytes.subarray(end);
      }
      unread = bytes;
    });
  });
}).listen(0, "127.0.0.1", function (this: ReturnType<typeof createServer>) {
  const address = this.address();
  if (typeof address === "object") console.log(address?.port);
});

function flush(room: { sockets: Set<Socket>; lines: string }): void {
  const bytes = frame(room.lines);
  room.lines = "";
  for (const socket of room.sockets) socket.write(bytes);
}

function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const header = payload.length < 126 ? [0x81, payload.length] : [0x81, 127, 0, 0, 0, 0, 0, 0, 0, 0];
  const bytes = Buffer.concat([Buffer.from(header), payload]);
  if (payload.length >= 126) bytes.writeUInt32BE(payload.length, 6);
  return bytes;
}
