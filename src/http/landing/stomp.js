// STOMP 1.2 over any of the transports: what a page needs to subscribe and to send.
//
// Does not know: SockJS, which topics there are, when to connect again.

/**
 * Opens a STOMP connection. `on.open(headers)` is called with the headers of CONNECTED, `on.end(why)` once when the connection has
 * ended by itself.
 */
function connectStomp(transport, base, on) {
  const listeners = new Map();
  const line = transport(base, {
    open: () => line.send(encodeFrame('CONNECT', {
      'accept-version': '1.2',
      'host': location.hostname,
      // The page measures round trips and would notice a silent gateway by itself.
      'heart-beat': '0,0',
    })),
    message: (text) => receive(decodeFrame(text)),
    end: on.end,
  });

  function receive({ command, headers, body }) {
    if (command === 'CONNECTED') on.open(headers);
    if (command === 'MESSAGE') listeners.get(headers.get('subscription'))?.(body, headers);
    if (command === 'ERROR') end(body.trim() || headers.get('message') || 'the gateway sent an ERROR frame');
    // Whoever echoes our own frame is no STOMP server.
    if (command === 'CONNECT') end('the endpoint does not speak STOMP');
  }

  function end(why) {
    line.close();
    on.end(why);
  }

  return {
    /** Calls `listener(body, headers)` for each message of a destination. */
    subscribe(destination, listener) {
      const id = String(listeners.size);
      listeners.set(id, listener);
      line.send(encodeFrame('SUBSCRIBE', { id, destination }));
    },
    send(destination, body, headers = {}) {
      const length = new TextEncoder().encode(body).length;
      line.send(encodeFrame('SEND', { destination, 'content-type': 'text/plain', 'content-length': length, ...headers }, body));
    },
    /** Ends the connection; `on.end` is not called. */
    close: () => line.close(),
  };
}

function encodeFrame(command, headers, body = '') {
  // CONNECT is the one frame without escapes (STOMP 1.2, Value Encoding), and its values here need none.
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${command === 'CONNECT' ? value : escapeHeader(value)}\n`);
  return `${command}\n${lines.join('')}\n${body}\0`;
}

/** Reads one whole frame, which is what the gateway puts into a message; a heart-beat has an empty command. */
function decodeFrame(text) {
  const blank = text.indexOf('\n\n');
  const [command, ...lines] = text.slice(0, Math.max(blank, 0)).split('\n');
  const headers = new Map();
  for (const header of lines) {
    const colon = header.indexOf(':');
    const name = unescapeHeader(header.slice(0, colon));
    // Of repeated headers the first counts (STOMP 1.2, Repeated Header Entries).
    if (!headers.has(name)) headers.set(name, unescapeHeader(header.slice(colon + 1)));
  }
  return { command, headers, body: text.slice(blank + 2, text.lastIndexOf('\0')) };
}

const headerEscapes = { '\\': '\\\\', '\r': '\\r', '\n': '\\n', ':': '\\c' };
const headerCharacters = { '\\\\': '\\', '\\r': '\r', '\\n': '\n', '\\c': ':' };

function escapeHeader(value) {
  return String(value).replace(/[\\\r\n:]/g, (character) => headerEscapes[character]);
}

function unescapeHeader(value) {
  return value.replace(/\\[\\rnc]/g, (escape) => headerCharacters[escape]);
}
