// The STOMP libraries of the web in Node, under the few calls that the scenarios make.
// Does not know: what a scenario checks, nor which server answers.

import { Client as StompJs } from '@stomp/stompjs';
import SockJS from 'sockjs-client';
import legacy from 'stompjs';
import webstomp from 'webstomp-client';
import WebSocket from 'ws';
import { Inbox, once } from './inbox.mjs';
import { connect as connectHelper } from './tcp.mjs';

// All three libraries look for the browser's global. Newer versions of Node have one of their own; the same one for all is better.
globalThis.WebSocket = WebSocket;
legacy.WebSocketClass = WebSocket;

const { INTEROP_TCP, INTEROP_WEBSOCKET, INTEROP_SOCKJS, INTEROP_LOGIN, INTEROP_PASSCODE, INTEROP_HOST } = process.env;

/**
 * The kinds of clients for which the environment names an address. `lacks` names what the library cannot do; README.md says why.
 * `textOnly`: what carries it is text, as SockJS is, so bytes that are no UTF-8 have to be base64.
 */
export function clients() {
  const old = { version: '1.1', lacks: ['escapes', 'NUL', 'send-binary'] };
  const fresh = { lacks: ['escapes', 'receive-binary', 'send-binary'] };
  const overSockjs = { textOnly: true, lacks: ['escapes', 'NUL'] };
  return [
    ...(INTEROP_WEBSOCKET ? [
      kind('stompjs 7/websocket', modern, () => ({ brokerURL: INTEROP_WEBSOCKET })),
      kind('stompjs 2.3.3/websocket', older, () => legacy.client(INTEROP_WEBSOCKET), old),
      kind('webstomp-client/websocket', younger, () => webstomp.client(INTEROP_WEBSOCKET), fresh),
      kind('webstomp-client 1.1/websocket', younger, () => webstomp.client(INTEROP_WEBSOCKET, { protocols: ['v11.stomp'] }), { ...fresh, version: '1.1' }),
    ] : []),
    ...(INTEROP_SOCKJS ? [
      kind('stompjs 7/sockjs-websocket', modern, () => ({ webSocketFactory: () => sockjs('websocket') }), { textOnly: true }),
      kind('stompjs 7/sockjs-xhr-streaming', modern, () => ({ webSocketFactory: () => sockjs('xhr-streaming') }), { textOnly: true }),
      kind('stompjs 2.3.3/sockjs-websocket', older, () => legacy.over(sockjs('websocket')), { ...overSockjs, version: '1.1' }),
      kind('stompjs 2.3.3/sockjs-xhr-polling', older, () => legacy.over(sockjs('xhr-polling')), { ...overSockjs, version: '1.1' }),
      kind('webstomp-client/sockjs-websocket', younger, () => webstomp.over(sockjs('websocket')), overSockjs),
      kind('webstomp-client/sockjs-eventsource', younger, () => webstomp.over(sockjs('eventsource')), overSockjs),
    ] : []),
  ];
}

/** The other side of a scenario. */
export function helper(opened) {
  return connectHelper(INTEROP_TCP, { login: INTEROP_LOGIN, passcode: INTEROP_PASSCODE, host: INTEROP_HOST }, opened);
}

function kind(name, adapter, open, { version = '1.2', textOnly = false, lacks = [] } = {}) {
  return {
    name,
    version,
    textOnly,
    lacks: new Set(lacks),
    /** A connected connection, added to `opened`. `beat` in milliseconds. */
    async connect(opened, { login, beat = 0 } = {}) {
      const connection = new Connection();
      opened.push(connection);
      const headers = { login: login ?? INTEROP_LOGIN, passcode: login ? 'secret' : INTEROP_PASSCODE, host: INTEROP_HOST };
      for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name];
      connection.library = adapter(open, headers, beat, connection);
      connection.connected = await connection.greeted.reached('CONNECTED');
      return connection;
    },
  };
}

/** One connected client, whichever the library. */
class Connection {
  greeted = once();
  ended = once();
  lost = false;
  strays = new Inbox();
  errors = new Inbox();
  beatsIn = 0;
  beatsOut = 0;
  #why = 'the connection ended';
  #inboxes = new Map();
  #receipts = new Map();
  #count = 0;

  get version() {
    return this.connected.version;
  }

  // ---- what the scenarios call ----

  /** Subscribes, waits for the RECEIPT, and returns the inbox. */
  async subscribe(destination, { into = new Inbox(), ...headers } = {}) {
    const id = `sub-${++this.#count}`;
    const receipt = this.#newReceipt();
    into.id = id;
    this.#inboxes.set(id, into);
    into.subscription = this.library.subscribe(destination, (frame) => into.put(this.#message(frame)), { id, receipt, ...headers });
    await this.receipt(receipt);
    return into;
  }

  async unsubscribe(inbox) {
    const receipt = this.#newReceipt();
    this.library.frame('UNSUBSCRIBE', { id: inbox.id, receipt });
    await this.receipt(receipt);
  }

  send(destination, body, headers = {}) {
    this.library.send(destination, body, headers);
  }

  /** Waits until the server has done everything that was sent so far: receipts come in order. */
  async settle() {
    const receipt = this.#newReceipt();
    this.send('/topic/interop.settled', 'settled', { receipt });
    await this.receipt(receipt);
  }

  receipt(id) {
    return this.#receipt(id).reached(`RECEIPT ${id}`);
  }

  ack(message, headers = {}) {
    message.frame.ack(headers);
  }

  nack(message, headers = {}) {
    message.frame.nack(headers);
  }

  /** The answer has `commit()` and `abort()`. */
  begin(transaction) {
    return this.library.begin(transaction);
  }

  /** A SEND without a destination, which is wrong in every version. */
  sendNowhere() {
    this.library.frame('SEND', {}, 'lost');
  }

  /** Says DISCONNECT and sees the end of the connection. The answer is the id of the receipt that was asked for. */
  async leave() {
    const receipt = this.#newReceipt();
    this.#receipt(receipt);
    this.library.disconnect(receipt);
    await this.waitForEnd('DISCONNECT');
    return receipt;
  }

  /** The connection ends, and no DISCONNECT was sent. */
  vanish() {
    this.library?.vanish();
  }

  waitForEnd(after) {
    return this.ended.reached(`the end of the connection after ${after}`);
  }

  // ---- what the adapters call ----

  gotReceipt(frame) {
    this.#receipt(frame.headers['receipt-id']).reach(frame.headers);
  }

  gotStray(frame) {
    this.strays.put(this.#message(frame));
  }

  gotError(frame) {
    this.#why = `ERROR ${frame.headers.message}`;
    this.errors.put({ headers: { ...frame.headers } });
    this.greeted.fail(this.#why);
  }

  gotEnd() {
    this.lost = true;
    this.ended.reach();
    this.greeted.fail(this.#why);
    for (const inbox of [this.strays, this.errors, ...this.#inboxes.values()]) inbox.end(this.#why);
    for (const receipt of this.#receipts.values()) receipt.fail(this.#why);
  }

  /** For the libraries that tell of heart-beats only in their debug log. */
  gotLine = (text) => {
    if (text === '<<< PONG') this.beatsIn += 1;
    else if (text === '>>> PING') this.beatsOut += 1;
  };

  // ---- below ----

  #message(frame) {
    return {
      frame,
      connection: this,
      headers: { ...frame.headers },
      get text() { return frame.body; },
      get bytes() { return this.connection.library.bytes(frame); },
    };
  }

  #receipt(id) {
    if (!this.#receipts.has(id)) {
      const arrived = once();
      this.#receipts.set(id, arrived);
      if (this.lost) arrived.fail(this.#why);
    }
    return this.#receipts.get(id);
  }

  #newReceipt() {
    return `receipt-${++this.#count}`;
  }
}

// ---- @stomp/stompjs 7 ----

function modern(open, connectHeaders, beat, connection) {
  const client = new StompJs({
    ...open(),
    connectHeaders,
    reconnectDelay: 0,
    heartbeatIncoming: beat,
    heartbeatOutgoing: beat,
    debug: connection.gotLine,
    onConnect: (frame) => connection.greeted.reach(frame.headers),
    onUnhandledMessage: (frame) => connection.gotStray(frame),
    onUnhandledReceipt: (frame) => connection.gotReceipt(frame),
    onDisconnect: (frame) => connection.gotReceipt(frame),
    onStompError: (frame) => connection.gotError(frame),
    onWebSocketClose: () => connection.gotEnd(),
  });
  client.activate();
  return {
    subscribe: (destination, heard, headers) => client.subscribe(destination, heard, headers),
    send: (destination, body, headers) => client.publish({
      destination, headers, ...(typeof body === 'string' ? { body } : { binaryBody: new Uint8Array(body) }),
    }),
    begin: (transaction) => client.begin(transaction),
    // The public calls cannot leave the destination out, nor ask for a receipt of UNSUBSCRIBE in the old libraries.
    frame: (command, headers, body) => client._stompHandler._transmit({ command, headers, body }),
    disconnect: (receipt) => { client.disconnectHeaders = { receipt }; client.deactivate(); },
    vanish: () => client.deactivate({ force: true }),
    bytes: (frame) => Buffer.from(frame.binaryBody),
  };
}

/** A SockJS connection over one transport. */
function sockjs(transport) {
  // By itself sockjs-client gives a transport on loopback about half a second, which a busy test machine can use up.
  return new SockJS(INTEROP_SOCKJS, null, { transports: [transport], timeout: 10_000 });
}

// ---- stompjs 2.3.3 and webstomp-client ----

function older(open, connectHeaders, beat, connection) {
  const client = open();
  return alike(client, connectHeaders, beat, connection, (destination, body, headers) => client.send(destination, headers, body));
}

function younger(open, connectHeaders, beat, connection) {
  const client = open();
  return alike(client, connectHeaders, beat, connection, (destination, body, headers) => client.send(destination, body, headers));
}

function alike(client, connectHeaders, beat, connection, send) {
  client.heartbeat = { outgoing: beat, incoming: beat };
  client.debug = connection.gotLine;
  // They set no such handler. A browser does not mind, a program in Node is ended.
  client.ws.onerror = () => {};
  client.onreceipt = (frame) => connection.gotReceipt(frame);
  client.onreceive = (frame) => connection.gotStray(frame);
  client.connect(connectHeaders, (frame) => connection.greeted.reach(frame.headers), (why) => {
    if (why?.command === 'ERROR') connection.gotError(why);
    else connection.gotEnd();
  });
  return {
    subscribe: (destination, heard, headers) => client.subscribe(destination, heard, headers),
    send: (destination, body, headers) => send(destination, body, { ...headers }),
    begin: (transaction) => client.begin(transaction),
    frame: (command, headers, body) => client._transmit(command, headers, body),
    // Their disconnect() closes the socket without waiting for the RECEIPT, so the frame is sent by itself.
    disconnect: (receipt) => client._transmit('DISCONNECT', { receipt }),
    vanish: () => (client.ws.terminate ?? client.ws.close).call(client.ws),
    // They make one character of every byte of a binary message.
    bytes: (frame) => Buffer.from(frame.body, 'latin1'),
  };
}
