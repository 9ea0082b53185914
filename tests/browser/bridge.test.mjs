// A websocket server from npm (`ws`), which knows nothing of SockJS, behind the bridge: reached by sockjs-client in a real browser
// over every transport, and by an ordinary websocket client. Not a line of either side is about towpath.
// Does not know: STOMP.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { openPage, show, showInGreeting, startChromium, within } from './support/browser.mjs';
import { startGateway } from './support/gateway.mjs';
import { startStaticServer } from './support/static.mjs';
import { transports } from './support/transports.mjs';

const limit = 15_000;
const many = Array.from({ length: 10_000 }, (_, number) => `message ${number}`);

let browser;
let chat;
let files;
let gateway;

before(async () => {
  files = await startStaticServer();
  chat = await startChat();
  gateway = await startGateway(['--client-url', `${files.url}/lib/sockjs-client/dist/sockjs.js`], { config: `
[[endpoint]]
path = "/chat"
service = "bridge"
bridge = "ws://127.0.0.1:${chat.port}/room?name=blue"
bridge_headers = ["cookie"]
allowed_origins = ["*"]
` });
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
  await chat?.stop();
  await files?.stop();
});

for (const transport of transports) {
  describe(`sockjs-client over ${transport.name} with a ws server`, () => {
    scenario(transport, 'talks to it', async ({ probe }) => {
      const texts = ['plain', '', '"quoted" \\ back', 'nul \u0000 inside', '\u{1f600} \u2028 %20'];
      assert.deepEqual(await probe('echo', texts), texts);
    });

    scenario(transport, 'keeps the order of 10,000 messages each way', async ({ probe }) => {
      const answers = await probe('echoInBursts', many, 1000);
      assert.equal(answers.length, many.length);
      assert.ok(answers.every((answer, number) => answer === many[number]));
    });

    scenario(transport, 'gets bytes as base64', async ({ probe }) => {
      assert.deepEqual(await probe('echo', ['/bytes']), [Buffer.from([0, 255, 128]).toString('base64')]);
    });

    scenario(transport, 'is told why it was closed', async ({ probe }) => {
      await probe('send', ['last words', '/close']);
      const { messages, closes } = await probe('closed');
      assert.deepEqual(messages, ['last words']);
      assert.deepEqual(closes, [{ code: 4003, reason: 'enough' }]);
    });
  });
}

describe('a websocket client with a ws server', () => {
  it('agrees on a subprotocol, is seen with its cookie, and hears its close code', { timeout: limit }, async () => {
    const joined = once(chat.server, 'connection');
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat`, ['v2.chat', 'v1.chat'], { headers: { cookie: 'sid=1', 'x-other': '2' } });
    await once(socket, 'open');
    assert.equal(socket.protocol, 'v1.chat');
    const [, request] = await joined;
    assert.equal(request.url, '/room?name=blue');
    assert.deepEqual([request.headers.cookie, request.headers['x-other']], ['sid=1', undefined]);
    socket.send(Buffer.from([1, 255]));
    const [bytes, isBinary] = await once(socket, 'message');
    assert.deepEqual([bytes, isBinary], [Buffer.from([1, 255]), true]);
    socket.send('/close');
    const [code, reason] = await once(socket, 'close');
    assert.deepEqual([code, String(reason)], [4003, 'enough']);
  });

  it('is refused where its server refuses it', { timeout: limit }, async () => {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat`, ['v9.chat']);
    const [error] = await once(socket, 'error');
    assert.match(error.message, /502/);
  });

  it('closes its connection', { timeout: limit }, async () => {
    const joined = once(chat.server, 'connection');
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat`);
    const [[upstream]] = await Promise.all([joined, once(socket, 'open')]);
    socket.close(4000, 'bye');
    const [code] = await once(upstream, 'close');
    assert.equal(code, 1000);
  });
});

/** An ordinary chat server of the one-user kind. */
async function startChat() {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: (offered) => (offered.has('v1.chat') ? 'v1.chat' : 'unknown'),
  });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('message', (message, isBinary) => {
      const text = isBinary ? '' : String(message);
      if (text === '/close') socket.close(4003, 'enough');
      else if (text === '/bytes') socket.send(Buffer.from([0, 255, 128]));
      else socket.send(message, { binary: isBinary });
    });
  });
  return {
    server,
    port: server.address().port,
    async stop() {
      server.clients.forEach((client) => client.terminate());
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A named test on a fresh page that is connected by `transport` when `check` begins. */
function scenario(transport, title, check) {
  it(title, { timeout: 4 * limit }, async () => {
    const { page, context, problems } = await openPage(browser);
    try {
      if (transport.origin === 'same') await showInGreeting(page, 'sockjs.html', `${gateway.url}/chat`, files.url);
      else await show(page, 'sockjs.html', files.url);
      const probe = (method, ...args) => within(
        limit, `${transport.name}: ${method}`,
        page.evaluate(([name, values]) => window.probe[name](...values), [method, args]),
        () => problems.join(' '),
      );
      const seen = await probe('open', `${gateway.url}/chat`, transport.name);
      assert.equal(seen.opens, 1, `sockjs-client did not open: ${JSON.stringify(seen)} ${problems.join(' ')}`);
      await check({ probe });
    } finally {
      await context.close();
    }
  });
}
