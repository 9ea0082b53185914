// A chat server as there are many, which knows nothing of SockJS: node server.mjs, or PORT=9001 node server.mjs.
import { WebSocket, WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: process.env.PORT ?? 9000, path: '/chat' });
server.on('connection', (socket) => {
  socket.on('message', (data, binary) => {
    for (const other of server.clients) {
      if (other.readyState === WebSocket.OPEN) other.send(data, { binary });
    }
  });
});
server.on('listening', () => console.log(`ws://127.0.0.1:${server.address().port}/chat`));
