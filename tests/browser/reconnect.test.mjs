// A gateway that goes away and comes back on the same port: every transport must notice, and a page that tries again must get in.
// Does not know: what the gateway keeps over a restart (nothing: SockJS sessions are not resumed).

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openPage, show, showInGreeting, startChromium, within } from './support/browser.mjs';
import { startGateway } from './support/gateway.mjs';
import { startStaticServer } from './support/static.mjs';
import { transports } from './support/transports.mjs';

// jsonp and htmlfile learn of a lost server by timers of sockjs-client (1 to 2 s), eventsource by Chromium's own retry (3 s).
const limit = 30_000;

let browser;
let files;
let args;

before(async () => {
  files = await startStaticServer();
  args = ['--test-services', '--client-url', `${files.url}/lib/sockjs-client/dist/sockjs.js`];
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  await files?.stop();
});

for (const [signal, way] of [['SIGTERM', 'is asked to stop'], ['SIGKILL', 'is killed']]) {
  describe(`when the gateway ${way} and starts again`, () => {
    // One restart serves all transports at once: each has its page, and each page its own test below.
    const outcomes = new Map();
    let gateway;

    before(async () => {
      gateway = await startGateway(args);
      const clients = await Promise.all(transports.map((transport) => connect(transport, gateway.url)));
      await gateway.stop(signal);
      gateway = await startGateway(args, { listen: new URL(gateway.url).host });
      await Promise.all(clients.map(async (client) => outcomes.set(client.transport.name, await reconnected(client, signal))));
    });

    after(() => gateway?.stop());

    for (const { name } of transports) {
      it(`sockjs-client over ${name} reconnects`, () => {
        const outcome = outcomes.get(name);
        assert.ok(outcome, 'the page was never connected');
        assert.equal(outcome.error, undefined);
        assert.equal(outcome.seen.transport, name);
        assert.ok(outcome.seen.closes.length >= 1, 'the page was not told that its connection had ended');
        assert.deepEqual(outcome.answer, ['here again']);
      });
    }
  });
}

async function connect(transport, url) {
  const { page, context } = await openPage(browser);
  if (transport.origin === 'same') await showInGreeting(page, 'sockjs.html', `${url}/echo`, files.url);
  else await show(page, 'sockjs.html', files.url);
  const probe = (method, ...values) => within(
    limit, `${transport.name}: ${method}`,
    page.evaluate(([name, list]) => window.probe[name](...list), [method, values]),
    async () => `Seen: ${JSON.stringify(await page.evaluate(() => window.probe.seen()))}`,
  );
  await probe('stayConnected', `${url}/echo`, transport.name);
  assert.deepEqual(await probe('echo', ['here']), ['here']);
  return { transport, context, probe };
}

async function reconnected({ transport, context, probe }, signal) {
  try {
    // An orderly stop ends every response, which even these transports hear.
    if (transport.deaf && signal === 'SIGKILL') await probe('send', ['anybody there?']);
    const seen = await probe('reopened', 2);
    return { seen, answer: await probe('echo', ['here again']) };
  } catch (error) {
    return { error: error.message };
  } finally {
    await context.close();
  }
}
