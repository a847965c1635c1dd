/** Socket.IO with rooms, on a port given as its argument. */
import { Server } from "socket.io";

const [port] = process.argv.slice(2);

// Clients don't answer pings.
const server = new Server(Number(port), { transports: ["websocket"], pingInterval: 3_600_000 });
server.on("connection", (socket) => {
  socket.on("join", (channels, done) => {
    socket.join(channels);
    done();
  });
  socket.on("announce", (channel, message) => server.to(channel).emit(channel, message));
});
