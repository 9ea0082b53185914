// One list of scenarios over every transport of sockjs-client: what a page must see, whatever carries it.
// Does not know: STOMP.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openPage, show, showInGreeting, startChromium, within } from './support/browser.mjs';
import { startGateway } from './support/gateway.mjs';
import { startStaticServer } from './support/static.mjs';
import { notRun, sessionRequests, transports } from './support/transports.mjs';

const limit = 15_000;

// What a careless server damages: quotes and backslashes (JSON), NUL and line ends (framing), line separators (JavaScript),
// percent signs (sockjs-client decodes event-stream data), end-of-script (htmlfile, jsonp), pairs of surrogates, non-characters.
const awkward = [
  'plain', '', ' ', '"quoted" \\ back\\\\slash', 'nul \u0000 inside', 'lines\r\nof\rtext\n', 'tab\t bell\u0007 del\u007f',
  'caf\u00e9 \u4f60\u597d \u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439', '\u{1f600} astral \u{10ffff}', 'separators \u2028 \u2029',
  'non-characters \ufff0 \ufffe \uffff', '%20 % %% %2 %zz %0A', '</script><script>window.broken = true</script><!--', '[] a["x"] o h c[1,"x"]', '\u200c\u200f\u2060\u206f\ufeff',
];

let browser;
let files;
let gateway;

before(async () => {
  files = await startStaticServer();
  gateway = await startGateway(['--test-services', '--client-url', `${files.url}/lib/sockjs-client/dist/sockjs.js`]);
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
  await files?.stop();
});

for (const transport of transports) {
  describe(`sockjs-client over ${transport.name}`, () => {
    scenario(transport, 'connects', '/echo', async ({ seen, requests }) => {
      assert.equal(seen.opens, 1);
      assert.ok(sessionRequests(requests).includes(transport.wire), `no request of the transport in ${requests.join(' ')}`);
    });

    scenario(transport, 'echoes Unicode unharmed', '/echo', async ({ probe, page }) => {
      assert.deepEqual(await probe('echo', awkward), awkward);
      assert.equal(await page.evaluate(() => window.broken), undefined, 'a message was run as a script');
    });

    scenario(transport, 'echoes 64 KiB', '/echo', async ({ probe }) => {
      const text = 'towpath '.repeat(8 * 1024);
      const [answer] = await probe('echo', [text]);
      assert.equal(answer.length, 64 * 1024);
      assert.ok(answer === text, 'the answer has the length of the message but not its text');
    });

    scenario(transport, 'carries 200 messages both ways in order', '/echo', async ({ probe }) => {
      const texts = Array.from({ length: 200 }, (_, number) => `message ${number}`);
      assert.deepEqual(await probe('echoInBursts', texts, 20), texts);
    });

    scenario(transport, 'shows the close code and reason of the server', '/close', async ({ probe }) => {
      const { closes } = await probe('closed');
      assert.deepEqual(closes, [{ code: 3000, reason: 'Go away!' }]);
    });

    scenario(transport, 'delivers what was queued before a close', '/farewell', async ({ probe }) => {
      await probe('send', ['one', 'two', 'three', 'bye']);
      const { messages, closes } = await probe('closed');
      assert.deepEqual(messages, ['one', 'two', 'three', 'bye']);
      assert.deepEqual(closes, [{ code: 3000, reason: 'Go away!' }]);
    });
  });
}

// Nothing is left out in silence: these are offered by sockjs-client, and the browser says no.
describe('sockjs-client has no way to run', () => {
  for (const { name, reason } of notRun) {
    it(`${name}: ${reason}`, { timeout: 4 * limit }, async () => {
      const { page, context } = await openPage(browser);
      try {
        await show(page, 'sockjs.html', files.url);
        const seen = await page.evaluate(([url, transport]) => window.probe.open(url, transport), [`${gateway.url}/echo`, name]);
        assert.equal(seen.opens, 0, `${name} runs in this browser: move it to the list of transports`);
        assert.deepEqual(seen.closes, [{ code: 2000, reason: 'All transports failed' }]);
      } finally {
        await context.close();
      }
    });
  }
});

/** A named test on a fresh page that is connected to `service` by `transport` when `check` begins. */
function scenario(transport, title, service, check) {
  it(title, { timeout: 4 * limit }, async () => {
    const { page, context, problems, requests } = await openPage(browser);
    try {
      if (transport.origin === 'same') await showInGreeting(page, 'sockjs.html', gateway.url + service, files.url);
      else await show(page, 'sockjs.html', files.url);
      const probe = (method, ...args) => within(
        limit, `${transport.name}: ${method}`,
        page.evaluate(([name, values]) => window.probe[name](...values), [method, args]),
        async () => `Seen: ${JSON.stringify(await page.evaluate(() => window.probe.seen())).slice(0, 600)} ${problems.join(' ')}`,
      );
      const seen = await probe('open', gateway.url + service, transport.name);
      assert.equal(seen.opens, 1, `sockjs-client did not open: ${JSON.stringify(seen)} ${problems.join(' ')}`);
      assert.equal(seen.transport, transport.name);
      await check({ page, probe, seen, requests });
      // The greeting is no web page, so nobody promises it an icon.
      assert.deepEqual(problems.filter((problem) => !problem.endsWith('/favicon.ico)')), []);
    } finally {
      await context.close();
    }
  });
}
