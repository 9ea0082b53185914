// Two pages in one chat, on different transports and with every pairing of the STOMP libraries that the web uses.
// Does not know: how the pages talk to each library (pages/stomp.js).

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openPage, show, startChromium, within } from './support/browser.mjs';
import { startGateway } from './support/gateway.mjs';
import { startStaticServer } from './support/static.mjs';

const limit = 20_000;
const beat = 1_000;

// `nul`: a body may hold NUL. The two old libraries cut frames at every NUL, whatever content-length says.
const libraries = [
  { name: 'stompjs 7', over: 'SockJS', nul: true },
  { name: 'stompjs 7', over: 'a raw websocket', nul: true },
  { name: 'stompjs 2.3.3', over: 'SockJS' },
  { name: 'webstomp-client', over: 'SockJS' },
];
const sockjsTransports = [
  'websocket', 'xhr-polling', 'eventsource', 'xhr-streaming', 'iframe-eventsource', 'jsonp-polling', 'iframe-xhr-polling', 'iframe-htmlfile',
];
const rawPaths = ['/stomp', '/stomp/websocket'];

const awkward = [
  'caf\u00e9 \u4f60\u597d', '\u{1f600} astral \u{10ffff}', 'separators \u2028 \u2029 \ufff0', 'lines\nof\r\ntext', '%20 %', '</script>', '"quoted" \\ \\n \\c : colon', ' edges ',
];

let browser;
let files;
let gateway;

before(async () => {
  files = await startStaticServer();
  gateway = await startGateway([], { config: configuration(`${files.url}/lib/sockjs-client/dist/sockjs.js`) });
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
  await files?.stop();
});

describe('STOMP chat', { concurrency: 4 }, () => {
  for (const { number, left, right } of pairings()) {
    it(`${label(left)} with ${label(right)}`, { timeout: 4 * limit }, () => chat(`/topic/chat/${number}`, left, right));
  }
});

// The pages are of another origin than the gateway. Its own wish for heart-beats must be as short as the clients': the
// longer one of the two holds.
function configuration(client) {
  return `[stomp]
heart_beat_send = "${beat}ms"
heart_beat_receive = "${beat}ms"

[[endpoint]]
path = "/stomp"
service = "stomp"
allowed_origins = ["*"]
client_url = "${client}"
`;
}

/** Every library with every library and with itself; the two sides of a pair never have the same transport. */
function pairings() {
  const pairs = [];
  let turn = 0;
  const side = (library) => {
    if (library.over !== 'SockJS') return { ...library, path: rawPaths[turn++ % rawPaths.length] };
    return { ...library, transport: sockjsTransports[turn++ % sockjsTransports.length] };
  };
  libraries.forEach((one, first) => libraries.slice(first).forEach((other) => {
    pairs.push({ number: pairs.length + 1, left: side(one), right: side(other) });
  }));
  return pairs;
}

function label({ name, transport, path }) {
  return transport ? `${name} over SockJS ${transport}` : `${name} over a raw websocket at ${path}`;
}

async function chat(topic, left, right) {
  const sides = await Promise.all([left, right].map(join));
  const [a, b] = sides;
  const both = (method, ...values) => Promise.all(sides.map((side) => side.call(method, ...values)));
  try {
    await both('subscribe', topic);

    await a.call('send', topic, ['from the left']);
    await both('heard', 1);
    await b.call('send', topic, ['from the right']);
    assert.deepEqual((await both('heard', 2)).map((seen) => seen.messages), [['from the left', 'from the right'], ['from the left', 'from the right']]);

    const texts = left.nul && right.nul ? [...awkward, 'nul \u0000 inside'] : awkward;
    await a.call('send', topic, texts);
    for (const seen of await both('heard', 2 + texts.length)) assert.deepEqual(seen.messages.slice(2), texts);
    await b.call('send', topic, texts);
    for (const seen of await both('heard', 2 + 2 * texts.length)) assert.deepEqual(seen.messages.slice(2 + texts.length), texts);

    const start = 2 + 2 * texts.length;
    const fifty = (from) => Array.from({ length: 50 }, (_, number) => `${from} ${number}`);
    await Promise.all([a.call('send', topic, fifty('left')), b.call('send', topic, fifty('right'))]);
    const [first, second] = (await both('heard', start + 100)).map((seen) => seen.messages.slice(start));
    for (const from of ['left', 'right']) {
      assert.deepEqual(first.filter((text) => text.startsWith(from)), fifty(from));
    }
    assert.deepEqual(second, first, 'the two subscribers saw different orders');

    const quiet = await both('seen');
    for (const seen of await both('beats', 3 + Math.max(...quiet.map(({ beatsIn, beatsOut }) => Math.max(beatsIn, beatsOut))))) {
      assert.equal(seen.lost, false, 'the connection ended while both sides were sending heart-beats');
    }

    // Later a heart-beat may cross the goodbye and find the session gone: a 404 that the console shows, and no fault.
    for (const { problems } of sides) assert.deepEqual(problems, []);
    for (const seen of await both('disconnect')) {
      assert.ok(seen.receipts.includes('goodbye'), 'no RECEIPT for DISCONNECT');
      assert.equal(seen.lost, true, 'the gateway did not close after DISCONNECT');
      assert.equal(seen.failed, null);
    }
  } finally {
    await Promise.all(sides.map(({ context }) => context.close()));
  }
}

/** A page with one connected client; `call` runs one method of window.chat in it. */
async function join({ name, transport, path }) {
  const { page, context, problems } = await openPage(browser);
  await show(page, 'stomp.html', files.url);
  const call = (method, ...values) => within(
    limit, `${name} over ${transport ?? path}: ${method}(${JSON.stringify(values).slice(0, 80)})`,
    page.evaluate(([method, values]) => window.chat[method](...values), [method, values]),
    async () => `Seen: ${JSON.stringify(await page.evaluate(() => ({ ...window.chat.seen(), log: window.chat.seen().log.slice(-6) }))).slice(-2500)} ${problems.join(' ')}`,
  );
  const endpoint = transport
    ? { url: `${gateway.url}/stomp`, transport }
    : { brokerURL: gateway.url.replace('http', 'ws') + path };
  const seen = await call('connect', name, endpoint, beat);
  assert.equal(seen.failed, null);
  assert.equal(seen.lost, false, `the connection ended before CONNECTED: ${problems.join(' ')}`);
  assert.equal(seen.transport, transport ?? 'raw websocket');
  const [outgoing, incoming] = (seen.connected['heart-beat'] ?? '').split(',').map(Number);
  assert.ok(outgoing > 0 && incoming > 0, `CONNECTED promises no heart-beats both ways: ${seen.connected['heart-beat']}`);
  return { call, context, problems };
}
