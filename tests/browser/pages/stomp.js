// One STOMP client, whichever library it comes from: three small adapters with the same five calls, and one chat over them.
'use strict';

// `StompJs` is @stomp/stompjs 7, `Stomp` is stompjs 2.3.3, `webstomp` is webstomp-client: each in the style its own manual shows.
// `hooks`: connected(headers), line(text of the library's debug log), receipt(id), lost(), failed(why).
const adapters = {
  'stompjs 7'(endpoint, beat, hooks) {
    const client = new StompJs.Client({
      ...(endpoint.brokerURL ? { brokerURL: endpoint.brokerURL } : { webSocketFactory: () => sockjs(endpoint) }),
      heartbeatIncoming: beat,
      heartbeatOutgoing: beat,
      reconnectDelay: 0,
      debug: hooks.line,
      onConnect: (frame) => hooks.connected(frame.headers),
      onDisconnect: (frame) => hooks.receipt(frame.headers['receipt-id']),
      onStompError: (frame) => hooks.failed(frame.headers.message),
      onWebSocketClose: () => hooks.lost(),
    });
    client.activate();
    return {
      subscribe: (destination, heard, receipt) => {
        client.watchForReceipt(receipt, () => hooks.receipt(receipt));
        client.subscribe(destination, (message) => heard(message.body), { receipt });
      },
      send: (destination, body) => client.publish({ destination, body }),
      disconnect: (receipt) => { client.disconnectHeaders = { receipt }; client.deactivate(); },
    };
  },

  'stompjs 2.3.3'(endpoint, beat, hooks) {
    const client = Stomp.over(sockjs(endpoint));
    client.heartbeat = { outgoing: beat, incoming: beat };
    client.debug = hooks.line;
    return older(client, hooks, (destination, body) => client.send(destination, {}, body));
  },

  'webstomp-client'(endpoint, beat, hooks) {
    const client = webstomp.over(sockjs(endpoint), { heartbeat: { outgoing: beat, incoming: beat } });
    client.debug = hooks.line;
    return older(client, hooks, (destination, body) => client.send(destination, body));
  },
};

// What stompjs 2.3.3 and webstomp-client share. Their disconnect() closes the socket without waiting for the RECEIPT,
// so the frame is sent by itself: the server has to answer it and to close.
function older(client, hooks, send) {
  client.onreceipt = (frame) => hooks.receipt(frame.headers['receipt-id']);
  client.connect({}, (frame) => hooks.connected(frame.headers), (why) => {
    if (why && why.command === 'ERROR') hooks.failed(why.headers.message);
    else hooks.lost();
  });
  return {
    subscribe: (destination, heard, receipt) => client.subscribe(destination, (message) => heard(message.body), { receipt }),
    send,
    disconnect: (receipt) => client._transmit('DISCONNECT', { receipt }),
  };
}

let socket;

// By itself sockjs-client gives a transport on loopback about a second, which a busy test machine can use up on an iframe.
function sockjs({ url, transport }) {
  socket = new SockJS(url, null, { transports: [transport], timeout: 10000 });
  return socket;
}

const seen = { connected: null, transport: null, messages: [], receipts: [], beatsIn: 0, beatsOut: 0, lost: false, failed: null, log: [] };
let client;
let waiting = [];

function changed() {
  waiting = waiting.filter(({ until, resolve }) => { if (!until()) return true; resolve(seen); return false; });
}

function when(until) {
  return new Promise((resolve) => { waiting.push({ until: () => until() || seen.lost || seen.failed, resolve }); changed(); });
}

const hooks = {
  connected(headers) { seen.connected = { ...headers }; seen.transport = socket ? socket.transport : 'raw websocket'; changed(); },
  receipt(id) { seen.receipts.push(id); changed(); },
  lost() { seen.lost = true; changed(); },
  failed(why) { seen.failed = String(why); changed(); },
  line(text) {
    if (text === '<<< PONG') seen.beatsIn += 1;
    else if (text === '>>> PING') seen.beatsOut += 1;
    else if (seen.log.length < 40) seen.log.push(String(text).slice(0, 300));
    changed();
  },
};

window.chat = {
  seen: () => seen,

  connect(library, endpoint, beat) {
    client = adapters[library](endpoint, beat, hooks);
    return when(() => seen.connected);
  },

  subscribe(destination) {
    client.subscribe(destination, (body) => { seen.messages.push(body); changed(); }, 'subscribed');
    return when(() => seen.receipts.includes('subscribed'));
  },

  send(destination, bodies) { bodies.forEach((body) => client.send(destination, body)); },

  heard: (count) => when(() => seen.messages.length >= count),

  beats: (count) => when(() => seen.beatsIn >= count && seen.beatsOut >= count),

  /** Resolves when the RECEIPT is in and the server has closed the connection. */
  async disconnect() {
    client.disconnect('goodbye');
    await when(() => seen.receipts.includes('goodbye'));
    return when(() => false);
  },
};
