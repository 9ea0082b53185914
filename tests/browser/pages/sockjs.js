// One sockjs-client connection, seen from the test: it is opened, keeps everything it hears, and answers questions about it.
'use strict';

let sock;
let waiting = [];
const seen = { opens: 0, closes: [], messages: [], transport: null };

// Every event may be the one that somebody waits for.
function changed() {
  waiting = waiting.filter(({ until, resolve }) => { if (!until()) return true; resolve(); return false; });
}

function when(until) {
  return new Promise((resolve) => { waiting.push({ until, resolve }); changed(); });
}

// By itself sockjs-client gives a transport on loopback about a second, which a busy test machine can use up on an iframe.
function connect(url, transport, onclose = () => {}) {
  sock = new SockJS(url, null, { transports: [transport], timeout: 10000 });
  sock.onopen = () => { seen.opens += 1; seen.transport = sock.transport; changed(); };
  sock.onmessage = (event) => { seen.messages.push(event.data); changed(); };
  sock.onclose = ({ code, reason }) => { seen.closes.push({ code, reason }); changed(); onclose(); };
}

window.probe = {
  seen: () => seen,

  /** Resolves when the connection is open, or when it was closed before that. */
  async open(url, transport) {
    connect(url, transport);
    await when(() => seen.opens > 0 || seen.closes.length > 0);
    return seen;
  },

  /** Connects, and whenever the connection ends connects anew. */
  async stayConnected(url, transport) {
    connect(url, transport, () => setTimeout(() => this.stayConnected(url, transport), 250));
    await when(() => seen.opens > 0);
    return seen;
  },

  async reopened(times) {
    await when(() => seen.opens >= times);
    return seen;
  },

  /** Sends all of `texts` and resolves with as many messages as went out, or with fewer when the connection ends first. */
  async echo(texts) {
    const from = seen.messages.length;
    const closes = seen.closes.length;
    texts.forEach((text) => sock.send(text));
    await when(() => seen.messages.length >= from + texts.length || seen.closes.length > closes);
    return seen.messages.slice(from);
  },

  /** Like echo, but each burst goes out when the first answer to the one before is in: both directions are busy at once. */
  async echoInBursts(texts, size) {
    const from = seen.messages.length;
    for (let sent = 0; sent < texts.length; sent += size) {
      texts.slice(sent, sent + size).forEach((text) => sock.send(text));
      await when(() => seen.messages.length > from + sent || seen.closes.length > 0);
    }
    await when(() => seen.messages.length >= from + texts.length || seen.closes.length > 0);
    return seen.messages.slice(from);
  },

  send(texts) { texts.forEach((text) => sock.send(text)); },

  async closed() {
    await when(() => seen.closes.length > 0);
    return seen;
  },
};
