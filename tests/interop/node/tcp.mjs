// The other side of a scenario: a small STOMP 1.2 client over TCP, where every byte passes as it is.
// Does not know: the clients that are tested.

import { connect as dial } from 'node:net';
import { Inbox, once } from './inbox.mjs';

const escapes = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', ':': '\\c' };
const unescapes = Object.fromEntries(Object.entries(escapes).map(([plain, escaped]) => [escaped, plain]));

/** Connects to `address` (host:port). The connection is added to `opened` before anything can go wrong. */
export async function connect(address, { login, passcode, host = 'localhost' }, opened) {
  const [, name, port] = address.match(/^\[?(.*?)\]?:(\d+)$/);
  const helper = new Helper(dial(Number(port), name));
  opened.push(helper);
  helper.write('CONNECT', { 'accept-version': '1.2', host, ...(login ? { login, passcode } : {}) });
  await helper.connected.reached('CONNECTED');
  return helper;
}

class Helper {
  constructor(socket) {
    this.socket = socket;
    this.connected = once();
    this.receipts = new Map();
    this.inboxes = new Map();
    this.count = 0;
    this.read = Buffer.alloc(0);
    socket.on('data', (bytes) => { this.read = Buffer.concat([this.read, bytes]); while (this.takeFrame()); });
    socket.on('error', () => {});
    socket.on('close', () => this.end('the TCP connection of the helper ended'));
  }

  async subscribe(destination) {
    const id = `sub-${++this.count}`;
    const inbox = Object.assign(new Inbox(), { id });
    this.inboxes.set(id, inbox);
    await this.asked('SUBSCRIBE', { id, destination });
    return inbox;
  }

  unsubscribe(inbox) {
    return this.asked('UNSUBSCRIBE', { id: inbox.id });
  }

  send(destination, body, headers = {}) {
    this.write('SEND', { destination, ...headers }, body);
  }

  vanish() {
    this.socket.destroy();
  }

  async asked(command, headers) {
    const receipt = `receipt-${++this.count}`;
    const arrived = once();
    this.receipts.set(receipt, arrived);
    this.write(command, { ...headers, receipt });
    await arrived.reached(`RECEIPT of ${command}`);
  }

  write(command, headers, body = '') {
    const bytes = Buffer.from(body);
    const plain = command === 'CONNECT';
    const lines = Object.entries({ ...headers, 'content-length': bytes.length })
      .map(([name, value]) => `${name}:${plain ? value : String(value).replace(/[\\\n\r:]/g, (one) => escapes[one])}\n`);
    this.socket.write(Buffer.concat([Buffer.from(`${command}\n${lines.join('')}\n`), bytes, Buffer.from([0])]));
  }

  /** Takes one whole frame out of what was read; false if there is none. */
  takeFrame() {
    let start = 0;
    while (this.read[start] === 10 || this.read[start] === 13) start += 1;
    const head = this.read.indexOf('\n\n', start);
    if (head < 0) return false;
    const [command, ...lines] = this.read.toString('utf8', start, head).split('\n');
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      const value = line.slice(colon + 1);
      headers[line.slice(0, colon)] ??= command === 'CONNECTED' ? value : value.replace(/\\./g, (one) => unescapes[one] ?? one);
    }
    const length = headers['content-length'];
    const end = length === undefined ? this.read.indexOf(0, head + 2) : head + 2 + Number(length);
    if (end < 0 || end >= this.read.length) return false;
    const body = Buffer.from(this.read.subarray(head + 2, end));
    this.read = this.read.subarray(end + 1);
    this.handle(command, headers, body);
    return true;
  }

  handle(command, headers, body) {
    if (command === 'CONNECTED') this.connected.reach(headers);
    else if (command === 'RECEIPT') this.receipts.get(headers['receipt-id'])?.reach(headers);
    else if (command === 'MESSAGE') this.inboxes.get(headers.subscription)?.put({ headers, bytes: body, text: body.toString() });
    else if (command === 'ERROR') this.end(`the helper got ERROR ${headers.message}`);
  }

  end(why) {
    this.connected.fail(why);
    for (const arrived of this.receipts.values()) arrived.fail(why);
    for (const inbox of this.inboxes.values()) inbox.end(why);
  }
}
