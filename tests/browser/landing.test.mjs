// The page at `/`: what a newcomer sees in the first minute, on a gateway that was started without any option.
// Does not know: how the page is written, only the marks it carries for this test: rows `[data-transport]` with
// `[data-field]` cells, and the chat (#chat-form, #chat-text, #chat-log).

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openPage, screenshot, startChromium, within } from './support/browser.mjs';
import { startGateway } from './support/gateway.mjs';

const limit = 15_000;
const rows = ['websocket', 'raw-websocket', 'xhr-streaming', 'xhr-polling', 'eventsource'];

let browser;
let gateway;

before(async () => {
  gateway = await startGateway([]);
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
});

describe('the landing page', () => {
  landing('shows a row for every transport and no other', {}, async ({ page }) => {
    const shown = await page.locator('[data-transport]').evaluateAll((found) => found.map((row) => row.dataset.transport));
    assert.deepEqual(shown.sort(), [...rows].sort());
  });

  for (const row of rows) {
    landing(`opens ${row} and measures it`, {}, async ({ page, live }) => {
      await live([row]);
      assert.match(await field(page, row, 'open-time'), /\d/);
      assert.match(await field(page, row, 'round-trip'), /\d/);
      assert.match(await field(page, row, 'received'), /\d/);
    });
  }

  landing('carries a chat between two windows', {}, async (first) => {
    const second = await open();
    try {
      await Promise.all([first.live(rows), second.live(rows)]);
      const hello = 'hello \u{1f44b} <b>not bold</b> </script>';
      await say(first, hello);
      await Promise.all([heard(first, hello), heard(second, hello)]);
      const answer = '\u4f60\u597d \u2028 %20';
      await say(second, answer);
      await Promise.all([heard(first, answer), heard(second, answer)]);
      for (const row of rows) assert.match(await field(second.page, row, 'received'), /[1-9]/, `${row} received nothing`);
      assert.deepEqual(second.problems, []);
    } finally {
      await second.context.close();
    }
  });

  it('comes back by itself when the gateway was restarted', { timeout: 10 * limit }, async () => {
    const opened = await open();
    try {
      await opened.live(rows);
      await gateway.stop();
      await within(limit, 'every row says that it is no longer open', opened.page.waitForFunction(
        () => [...document.querySelectorAll('[data-transport] [data-field="state"]')].every((cell) => !/\bopen\b/i.test(cell.textContent)),
        undefined, { timeout: 0 },
      ));
      gateway = await startGateway([], { listen: new URL(gateway.url).host });
      await opened.live(rows);
    } finally {
      await opened.context.close();
    }
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 400]) {
      landing(`fits ${width} pixels in ${colorScheme}`, { colorScheme, viewport: { width, height: 900 } }, async (opened) => {
        await opened.live(rows);
        await say(opened, 'Is the lock at the old mill open again?');
        await heard(opened, 'Is the lock at the old mill open again?');
        await screenshot(opened.page, `landing-${width}-${colorScheme}`);
        assert.ok(await opened.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the window');
      });
    }
  }
});

/** A named test on a fresh landing page; whatever it checks, nothing may go wrong in the page and nothing may leave the gateway. */
function landing(title, options, check) {
  it(title, { timeout: 5 * limit }, async () => {
    const opened = await open(options);
    try {
      await check(opened);
      assert.deepEqual(opened.problems, []);
      const elsewhere = opened.requests.filter((url) => !/^(data|blob):/.test(url) && new URL(url).host !== new URL(gateway.url).host);
      assert.deepEqual(elsewhere, []);
    } finally {
      await opened.context.close();
    }
  });
}

async function open(options) {
  const opened = await openPage(browser, options);
  const { page, problems } = opened;
  await page.goto(`${gateway.url}/`);
  const live = (wanted) => within(
    limit, `open with a round-trip time: ${wanted.join(', ')}`,
    page.waitForFunction((names) => names.every((name) => {
      const text = (cell) => document.querySelector(`[data-transport="${name}"] [data-field="${cell}"]`)?.textContent ?? '';
      return /\bopen\b/i.test(text('state')) && /\d/.test(text('round-trip'));
    }), wanted, { timeout: 0 }),
    async () => `Shown: ${await page.locator('[data-transport]').allInnerTexts()} ${problems.join(' ')}`,
  );
  return { ...opened, live };
}

function field(page, row, name) {
  return page.locator(`[data-transport="${row}"] [data-field="${name}"]`).innerText();
}

async function say({ page }, text) {
  await page.fill('#chat-text', text);
  await page.press('#chat-text', 'Enter');
}

/** The chat shows `text` once, as text, though it came in on every one of the connections. */
async function heard({ page }, text) {
  const count = (wanted) => [...document.querySelector('#chat-log').children].filter((entry) => entry.textContent.includes(wanted)).length;
  await within(limit, `the chat shows "${text}"`, page.waitForFunction(count, text, { timeout: 0 }));
  assert.equal(await page.evaluate(count, text), 1);
}
