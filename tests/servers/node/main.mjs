// The npm package `sockjs` with the services that the protocol's tests ask for.
//
//   node main.mjs [PORT]      prints "ready URL" and stays; without a port, or with 0, a free one is taken
//
// RESPONSE_LIMIT is what a streaming response may carry, in bytes; the tests want the little that is the default.
import http from 'node:http';
import sockjs from 'sockjs';

const GO_AWAY = [3000, 'Go away!'];
const RESPONSE_LIMIT = Number(process.env.RESPONSE_LIMIT ?? 4096);

function echo(connection) {
  connection.on('data', (message) => connection.write(message));
}

function close(connection) {
  connection.close(...GO_AWAY);
}

// Echoes, and closes after the echo of `bye`.
function farewell(connection) {
  connection.on('data', (message) => {
    connection.write(message);
    if (message === 'bye') connection.close(...GO_AWAY);
  });
}

const services = [
  ['/echo', echo, { response_limit: RESPONSE_LIMIT }],
  ['/disabled_websocket_echo', echo, { response_limit: RESPONSE_LIMIT, websocket: false }],
  ['/cookie_needed_echo', echo, { response_limit: RESPONSE_LIMIT, jsessionid: true }],
  ['/close', close, {}],
  ['/farewell', farewell, {}],
];

const server = http.createServer((request, response) => {
  response.writeHead(404).end();
});
for (const [prefix, serve, options] of services) {
  const service = sockjs.createServer({ prefix, log: () => {}, ...options });
  service.on('connection', (connection) => {
    if (connection) serve(connection);
  });
  service.installHandlers(server);
}

// What the library throws out of a timer or a socket's event would end the process, and every later check would fail for it.
process.on('uncaughtException', (error) => console.error(error));

server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`ready http://127.0.0.1:${server.address().port}`);
});
