// The scenarios that every client passes. python/scenarios.py has the same ones under the same names.
// Does not know: how a client is spoken to (clients.mjs).

import { isDeepStrictEqual, inspect } from 'node:util';
import { helper } from './clients.mjs';
import { Failure } from './inbox.mjs';

const mebibyte = 1024 * 1024;
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const base64 = { 'content-transfer-encoding': 'base64' };

/** What one run of a scenario has: names of its own, connections that are ended when it is over. */
export class Stage {
  #opened = [];
  #unique;

  constructor(client, unique) {
    this.client = client;
    this.#unique = unique;
  }

  connect(options) {
    return this.client.connect(this.#opened, options);
  }

  helper() {
    return helper(this.#opened);
  }

  /** A destination or user name that no other run has. */
  name(prefix) {
    return `${prefix}.${this.#unique}`;
  }

  lacks(ability) {
    return this.client.lacks.has(ability);
  }

  clear() {
    for (const connection of this.#opened) connection.vanish();
  }
}

async function connect(stage) {
  const { connected } = await stage.connect();
  equal(connected.version, stage.client.version, 'the version');
  expect(connected.session, 'CONNECTED names no session');
  expect(connected.server, 'CONNECTED names no server');
  expect(connected['heart-beat']?.includes(','), 'CONNECTED has no heart-beat');
}

async function topic(stage) {
  const destination = stage.name('/topic/interop');
  const [sender, ...others] = await several(3, stage);
  const inboxes = await Promise.all(others.map((other) => other.subscribe(destination)));
  sender.send(destination, 'f\u00fcr alle', { kind: 'greeting' });
  for (const inbox of inboxes) {
    const message = await inbox.next();
    equal(message.text, 'f\u00fcr alle', 'the body');
    equal(message.headers.destination, destination, 'the destination');
    equal(message.headers.kind, 'greeting', "the sender's header");
    expect(message.headers['message-id'], 'there is no message-id');
  }
  await others[0].unsubscribe(inboxes[0]);
  sender.send(destination, 'second');
  equal((await inboxes[1].next()).text, 'second', "the body after another's UNSUBSCRIBE");
  await others[0].settle();
  expect(inboxes[0].empty, 'a message came after UNSUBSCRIBE');
}

async function competingConsumers(stage) {
  const destination = stage.name('/queue/interop');
  const [sender, one, other] = await several(3, stage);
  const both = await one.subscribe(destination, { ack: 'client', 'prefetch-count': '1' });
  await other.subscribe(destination, { ack: 'client', 'prefetch-count': '1', into: both });
  const sent = Array.from({ length: 8 }, (_, number) => `job ${number}`);
  for (const body of sent) sender.send(destination, body);
  // Each has room for one message, and none is acknowledged: so the first two are with two consumers.
  const held = [await both.next('job'), await both.next('job')];
  expect(held[0].connection !== held[1].connection, 'one consumer got both messages, the other none');
  const done = [];
  for (;;) {
    const message = held.shift();
    done.push(message.text);
    message.connection.ack(message);
    if (done.length === sent.length) break;
    if (done.length + held.length < sent.length) held.push(await both.next(`job after ${done}`));
  }
  equal([...done].sort(), sent, 'the jobs');
  await one.leave();
  await other.leave();
  await nothingLeft(stage, destination);
}

async function messagesWait(stage) {
  const destination = stage.name('/queue/interop');
  const sender = await stage.connect();
  const sent = ['first', 'second', 'third'];
  for (const body of sent) sender.send(destination, body);
  await sender.settle();
  await sender.leave();
  const inbox = await (await stage.connect()).subscribe(destination);
  equal(await texts(inbox, 3), sent, 'the waiting messages');
}

async function individualAck(stage) {
  const destination = stage.name('/queue/interop');
  const consumer = await stage.connect();
  const messages = await threeMessages(stage, consumer, destination, 'client-individual');
  if (consumer.version === '1.2') expect(messages.every(({ headers }) => headers.ack), 'a MESSAGE of 1.2 has no ack header');
  consumer.ack(messages[1]);
  await consumer.settle();
  await consumer.leave();
  const inbox = await (await stage.connect()).subscribe(destination);
  const again = [await inbox.next(), await inbox.next()];
  equal(again.map(({ text }) => text), ['first', 'third'], 'what was not acknowledged');
  expect(again.every(redelivered), 'a redelivered message does not say so');
  await nothingLeft(stage, destination, inbox);
}

async function cumulativeAck(stage) {
  const destination = stage.name('/queue/interop');
  const consumer = await stage.connect();
  const messages = await threeMessages(stage, consumer, destination, 'client');
  consumer.ack(messages[1]);
  await consumer.settle();
  await consumer.leave();
  const inbox = await (await stage.connect()).subscribe(destination);
  equal((await inbox.next()).text, 'third', 'the message after the acknowledged ones');
  await nothingLeft(stage, destination, inbox);
}

async function nack(stage) {
  const destination = stage.name('/queue/interop');
  const [consumer, sender] = await several(2, stage);
  const inbox = await consumer.subscribe(destination, { ack: 'client-individual' });
  sender.send(destination, 'difficult');
  let message = await inbox.next();
  expect(!redelivered(message), 'the first delivery says that it is not the first');
  consumer.nack(message);
  message = await inbox.next('the message after NACK');
  equal(message.text, 'difficult', 'the body');
  expect(redelivered(message), 'the second delivery does not say redelivered:true');
  consumer.ack(message);
  await consumer.settle();
  await consumer.leave();
  await nothingLeft(stage, destination);
}

async function vanishedConsumer(stage) {
  const destination = stage.name('/queue/interop');
  const consumer = await stage.connect();
  await threeMessages(stage, consumer, destination, 'client');
  const inbox = await (await stage.connect()).subscribe(destination);
  consumer.vanish();
  const again = [await inbox.next(), await inbox.next(), await inbox.next()];
  equal(again.map(({ text }) => text), ['first', 'second', 'third'], 'the redelivered messages');
  expect(again.every(redelivered), 'a redelivered message does not say so');
}

async function commit(stage) {
  const destination = stage.name('/queue/interop');
  const [consumer, sender] = await several(2, stage);
  const inbox = await consumer.subscribe(destination);
  const transaction = sender.begin('t');
  sender.send(destination, 'inside 1', { transaction: 't' });
  sender.send(destination, 'inside 2', { transaction: 't' });
  sender.send(destination, 'outside');
  equal((await inbox.next()).text, 'outside', 'the message before COMMIT');
  transaction.commit();
  equal(await texts(inbox, 2), ['inside 1', 'inside 2'], 'the messages after COMMIT');
}

async function abort(stage) {
  const destination = stage.name('/queue/interop');
  const [consumer, sender] = await several(2, stage);
  const inbox = await consumer.subscribe(destination);
  const transaction = sender.begin('t');
  sender.send(destination, 'inside', { transaction: 't' });
  transaction.abort();
  sender.send(destination, 'after');
  equal((await inbox.next()).text, 'after', 'the message after ABORT');
  // The name is free again.
  const second = sender.begin('t');
  sender.send(destination, 'inside again', { transaction: 't' });
  second.commit();
  equal((await inbox.next()).text, 'inside again', 'the message of the second transaction');
}

async function transactionalAck(stage) {
  const destination = stage.name('/queue/interop');
  (await stage.connect()).send(destination, 'work');
  for (const end of ['abort', 'commit']) {
    const consumer = await stage.connect();
    const inbox = await consumer.subscribe(destination, { ack: 'client' });
    const message = await inbox.next(`the message to be acknowledged with ${end}`);
    equal(message.text, 'work', 'the body');
    const transaction = consumer.begin('t');
    consumer.ack(message, { transaction: 't' });
    transaction[end]();
    await consumer.settle();
    await consumer.leave();
  }
  await nothingLeft(stage, destination);
}

async function transactionalNack(stage) {
  const destination = stage.name('/queue/interop');
  const [consumer, sender] = await several(2, stage);
  const inbox = await consumer.subscribe(destination, { ack: 'client-individual' });
  sender.send(destination, 'difficult');
  let message = await inbox.next();
  const transaction = consumer.begin('t');
  consumer.nack(message, { transaction: 't' });
  await consumer.settle();
  sender.send(destination, 'next');
  equal((await inbox.next()).text, 'next', 'the message before COMMIT');
  transaction.commit();
  message = await inbox.next('the message after COMMIT of its NACK');
  equal(message.text, 'difficult', 'the body');
  expect(redelivered(message), 'the second delivery does not say redelivered:true');
}

async function receipts(stage) {
  const destination = stage.name('/topic/interop');
  const connection = await stage.connect();
  const receipt = stage.lacks('escapes') ? 'sent' : 'sent: \u00fc';
  // Each call waits for the receipt that it asks for.
  const inbox = await connection.subscribe(destination);
  connection.send(destination, 'with a receipt', { receipt });
  await connection.receipt(receipt);
  equal((await inbox.next()).text, 'with a receipt', 'the body');
  await connection.unsubscribe(inbox);
  await connection.receipt(await connection.leave());
}

async function heartBeats(stage) {
  const destination = stage.name('/topic/interop');
  const connection = await stage.connect({ beat: 1000 });
  equal(connection.connected['heart-beat'], '1000,1000', "the server's heart-beat");
  const inbox = await connection.subscribe(destination);
  const { beatsIn, beatsOut } = connection;
  // This wait is the test: a server cuts a client off that is silent for three intervals.
  await new Promise((resolve) => { setTimeout(resolve, 4200); });
  expect(!connection.lost, 'the connection ended while both sides sent heart-beats');
  expect(connection.beatsIn - beatsIn >= 3, `${connection.beatsIn - beatsIn} heart-beats came in four seconds`);
  expect(connection.beatsOut - beatsOut >= 3, `${connection.beatsOut - beatsOut} heart-beats went in four seconds`);
  connection.send(destination, 'still here');
  equal((await inbox.next()).text, 'still here', 'the body');
}

async function largeBody(stage) {
  const destination = stage.name('/topic/interop');
  const [receiver, sender] = await several(2, stage);
  const inbox = await receiver.subscribe(destination);
  const body = '0123456789abcde\n'.repeat(mebibyte / 16);
  sender.send(destination, body);
  const arrived = (await inbox.next('the large message')).text;
  equal(arrived.length, mebibyte, 'the length');
  expect(arrived === body, 'the body is not what was sent');
}

// SockJS is text: there a body that is no UTF-8 arrives as base64 and says so, and the other way round.
async function binaryReceived(stage) {
  const destination = stage.name('/topic/interop');
  const inbox = await (await stage.connect()).subscribe(destination);
  // A raw websocket carries NUL, but stompjs 2.3.3 cuts frames at it. Over SockJS it gets the base64 of all bytes.
  const bytes = stage.lacks('NUL') && !stage.client.textOnly ? everyByte.subarray(1) : everyByte;
  (await stage.helper()).send(destination, bytes, { 'content-type': 'application/octet-stream' });
  const message = await inbox.next();
  equal(message.headers['content-type'], 'application/octet-stream', 'the content-type');
  if (stage.client.textOnly) {
    equal(message.headers['content-transfer-encoding'], 'base64', 'the content-transfer-encoding');
    equal(message.text, bytes.toString('base64'), 'the body');
  } else {
    equal(message.headers['content-transfer-encoding'], undefined, 'the content-transfer-encoding');
    expect(message.bytes.equals(bytes), `the body is ${message.bytes.toString('hex')}`);
  }
}

async function binarySent(stage) {
  const destination = stage.name('/topic/interop');
  const inbox = await (await stage.helper()).subscribe(destination);
  const sender = await stage.connect();
  if (stage.client.textOnly) sender.send(destination, everyByte.toString('base64'), base64);
  else sender.send(destination, everyByte);
  const message = await inbox.next();
  expect(message.bytes.equals(everyByte), `the body is ${message.bytes.toString('hex')}`);
  equal(message.headers['content-transfer-encoding'], undefined, 'the content-transfer-encoding');
}

async function requestAndReply(stage) {
  const service = stage.name('/queue/interop');
  const [worker, asker] = await several(2, stage);
  const requests = await worker.subscribe(service);
  asker.send(service, 'question', { 'reply-to': '/temp-queue/answers', 'correlation-id': '7' });
  const request = await requests.next('the request');
  expect(request.headers['reply-to'], 'the request has no reply-to');
  equal(request.headers['correlation-id'], '7', 'the correlation-id');
  worker.send(request.headers['reply-to'], 'answer', { 'correlation-id': '7' });
  const reply = await asker.strays.next('the reply');
  equal(reply.text, 'answer', 'the reply');
  equal(reply.headers.subscription, '/temp-queue/answers', 'the subscription of the reply');
  equal(reply.headers['correlation-id'], '7', 'the correlation-id of the reply');
}

async function userDestination(stage) {
  const [ann, bob] = [stage.name('team/ann'), stage.name('bob')];
  const [atDesk, onPhone, other] = await Promise.all([ann, ann, bob].map((login) => stage.connect({ login })));
  equal(atDesk.connected['user-name'], ann, "CONNECTED's user-name");
  const forAnn = [await atDesk.subscribe('/user/queue/news'), await onPhone.subscribe('/user/queue/news')];
  const forBob = await other.subscribe('/user/queue/news');
  const sender = await stage.helper();
  sender.send(`/user/${ann.replace('/', '%2F')}/queue/news`, 'for ann');
  sender.send(`/user/${bob}/queue/news`, 'for bob');
  for (const inbox of forAnn) {
    const message = await inbox.next('the message for ann');
    equal(message.text, 'for ann', "ann's message");
    equal(message.headers.destination, '/user/queue/news', 'the destination');
  }
  equal((await forBob.next('the message for bob')).text, 'for bob', "bob's message");
}

async function selector(stage) {
  const destination = stage.name('/topic/interop');
  const [receiver, sender] = await several(2, stage);
  const inbox = await receiver.subscribe(destination, { selector: "colour = 'red' AND size > 3" });
  for (const [colour, size] of [['blue', 7], ['red', 2], ['red', 4], ['green', 5], ['red', 10]]) {
    sender.send(destination, `${colour} ${size}`, { colour, size: String(size) });
  }
  equal(await texts(inbox, 2), ['red 4', 'red 10'], 'what matches');
}

async function error(stage) {
  const destination = stage.name('/topic/interop');
  const [receiver, sender, wrong] = await several(3, stage);
  const inbox = await receiver.subscribe(destination);
  wrong.sendNowhere();
  expect((await wrong.errors.next('the ERROR')).headers.message, 'the ERROR has no message header');
  await wrong.waitForEnd('ERROR');
  sender.send(destination, 'undisturbed');
  equal((await inbox.next()).text, 'undisturbed', 'the body');
}

async function headers(stage) {
  const destination = stage.name('/topic/interop');
  const [helper, connection] = [await stage.helper(), await stage.connect()];
  const value = `gr\u00f6\u00dfe: 1\\2\nzwei \u4f60\u597d${connection.version === '1.2' ? '\rdrei' : ''}`;
  // What a program has to write, and gets to see, with a library that leaves the escapes of the protocol to it.
  const seen = stage.lacks('escapes')
    ? value.replace(/[\\\n\r:]/g, (one) => ({ '\\': '\\\\', '\n': '\\n', '\r': '\\r', ':': '\\c' })[one])
    : value;
  for (const { sender, sent, receiver, wanted } of [
    { sender: connection, sent: seen, receiver: helper, wanted: value },
    { sender: helper, sent: value, receiver: connection, wanted: seen },
  ]) {
    const inbox = await receiver.subscribe(destination);
    sender.send(destination, 'see the header', { awkward: sent });
    equal((await inbox.next()).headers.awkward, wanted, 'the header');
    await receiver.unsubscribe(inbox);
  }
}

/** Name, what it does, what a client needs for it. */
export const scenarios = [
  ['connect: CONNECTED tells version, session, server and heart-beat', connect],
  ['topic: every subscriber gets the message, until it unsubscribes', topic],
  ['queue: two competing consumers share the messages', competingConsumers],
  ['queue: messages wait for a consumer, in order', messagesWait],
  ['ack client-individual: only the acknowledged message is gone', individualAck],
  ['ack client: everything up to the acknowledged message is gone', cumulativeAck],
  ['nack: the message comes again, marked redelivered', nack],
  ['redelivery: a vanished consumer leaves its messages to another', vanishedConsumer],
  ['transaction: SEND counts from COMMIT on', commit],
  ['transaction: ABORT drops SEND', abort],
  ['transaction: ACK counts at COMMIT and not after ABORT', transactionalAck],
  ['transaction: NACK counts at COMMIT', transactionalNack],
  ['receipt: SEND, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT', receipts],
  ['heart-beat: both ways through four idle seconds', heartBeats],
  ['body: 1 MiB', largeBody],
  ['body: binary received', binaryReceived, 'receive-binary'],
  ['body: binary sent', binarySent, 'send-binary'],
  ['request and reply over a temporary queue', requestAndReply],
  ['user destination: reaches all sessions of the named user and nobody else', userDestination],
  ['selector: only what matches', selector],
  ['ERROR: reaches the client and ends only its connection', error],
  ['headers: UTF-8, colon, backslash and line ends', headers],
];

// ---- below ----

function several(count, stage) {
  return Promise.all(Array.from({ length: count }, () => stage.connect()));
}

/** Subscribes `consumer` to a queue and lets it receive three messages. */
async function threeMessages(stage, consumer, destination, ack) {
  const inbox = await consumer.subscribe(destination, { ack });
  const sender = await stage.connect();
  const sent = ['first', 'second', 'third'];
  for (const body of sent) sender.send(destination, body);
  const messages = [await inbox.next(), await inbox.next(), await inbox.next()];
  equal(messages.map(({ text }) => text), sent, 'the messages');
  return messages;
}

/** The next message that the queue gives out is the one that is sent now. */
async function nothingLeft(stage, destination, inbox) {
  inbox ??= await (await stage.connect()).subscribe(destination);
  (await stage.connect()).send(destination, 'the end');
  equal((await inbox.next()).text, 'the end', 'what was left in the queue');
}

async function texts(inbox, count) {
  const found = [];
  while (found.length < count) found.push((await inbox.next()).text);
  return found;
}

function redelivered(message) {
  return message.headers.redelivered === 'true';
}

function expect(condition, otherwise) {
  if (!condition) throw new Failure(otherwise);
}

function equal(found, wanted, what) {
  if (!isDeepStrictEqual(found, wanted)) throw new Failure(`${what}: expected ${shortened(wanted)}, found ${shortened(found)}`);
}

function shortened(value) {
  const text = inspect(value, { breakLength: Infinity });
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`;
}
