/** Socket.IO with rooms, on a port given as its argument. Clients name their room in the address. */
import { Server } from "socket.io";

const [port] = process.argv.slice(2);

// Clients don't answer pings.
const server = new Server(Number(port), { transports: ["websocket"], pingInterval: 3_600_000 });
server.on("connection", (socket) => {
  socket.join(socket.handshake.query.room);
  socket.on("announce", (room, message) => server.to(room).emit(room, message));
});
