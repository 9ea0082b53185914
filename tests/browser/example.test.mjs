// examples/chat as a newcomer runs it: its own configuration file, its own server, its two pages talking to each other.
// Does not know: the code of the pages, only what they show.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openPage, screenshot, startChromium } from './support/browser.mjs';
import { startGateway } from './support/gateway.mjs';

const example = fileURLToPath(new URL('../../examples/chat/', import.meta.url));
const choices = ['auto', 'websocket', 'xhr-streaming', 'eventsource', 'xhr-polling', 'raw'];

let browser;
let gateway;
let server;
let site;

before(async () => {
  server = spawn(process.execPath, [join(example, 'serve.mjs')], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    server.stdout.once('data', (chunk) => resolve(String(chunk)));
    server.once('exit', (code) => reject(new Error(`serve.mjs ended with ${code}`)));
  });
  site = line.match(/http:\/\/127\.0\.0\.1:\d+/)[0];

  // The file that the README names, but for the port: another program may have 3000.
  const config = await readFile(join(example, 'towpath.toml'), 'utf8');
  assert.ok(config.includes('http://127.0.0.1:3000'), 'towpath.toml does not allow the address that the README tells people to open');
  gateway = await startGateway([], { config: config.replace('http://127.0.0.1:3000', site) });
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
  server?.kill();
});

describe('examples/chat', () => {
  for (const choice of choices) {
    it(`stompjs 7 with transport "${choice}" talks with the older page`, { timeout: 60_000 }, async () => {
      const pages = await Promise.all([open('/'), open('/legacy.html')]);
      const [current, older] = pages;
      try {
        if (choice !== 'auto') await current.page.selectOption('#transport', choice);
        await older.page.waitForSelector('#state[data-state="open"]');
        const expected = { auto: 'websocket', raw: 'plain websocket' }[choice] ?? choice;
        await current.page.waitForFunction((name) => {
          const state = document.querySelector('#state');
          return state.dataset.state === 'open' && state.textContent.endsWith(name);
        }, expected);

        const hello = `hello over ${choice} \u{1f44b} <b>not bold</b>`;
        await say(current, hello);
        await heard(pages, hello);
        const answer = `answer to ${choice} \u4f60\u597d`;
        await say(older, answer);
        await heard(pages, answer);

        const asked = [...current.requests, ...older.requests].filter((url) => !url.startsWith('data:'));
        const hosts = new Set(asked.map((url) => new URL(url).host));
        assert.deepEqual([...hosts].sort(), [new URL(site).host, new URL(gateway.url).host].sort());
        for (const { problems } of pages) assert.deepEqual(problems, []);
      } finally {
        await Promise.all(pages.map(({ context }) => context.close()));
      }
    });
  }

  for (const [path, name] of [['/', 'example'], ['/legacy.html', 'example-legacy']]) {
    for (const scheme of ['light', 'dark']) {
      for (const width of [1280, 400]) {
        it(`${path} fits ${width} pixels in ${scheme}`, { timeout: 60_000 }, async () => {
          const other = await open('/legacy.html');
          const shown = await open(path, { colorScheme: scheme, viewport: { width, height: 800 } });
          try {
            await Promise.all([other, shown].map(({ page }) => page.waitForSelector('#state[data-state="open"]')));
            await say(other, 'Is the lock at the old mill open again?');
            await heard([shown], 'Is the lock at the old mill open again?');
            await say(shown, 'Since this morning. A long line of boats, so bring tea and some patience for the way up.');
            await heard([shown], 'Since this morning. A long line of boats, so bring tea and some patience for the way up.');
            await screenshot(shown.page, `${name}-${width}-${scheme}`);
            assert.ok(await shown.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the window');
          } finally {
            await Promise.all([other, shown].map(({ context }) => context.close()));
          }
        });
      }
    }
  }
});

async function open(path, options) {
  const opened = await openPage(browser, options);
  await opened.page.goto(`${site}${path}?gateway=${encodeURIComponent(gateway.url)}`);
  return opened;
}

async function say({ page }, text) {
  await page.fill('#chat-text', text);
  await page.press('#chat-text', 'Enter');
}

/** Every page shows `text` exactly once, as text. */
async function heard(pages, text) {
  for (const { page } of pages) {
    await page.waitForFunction((wanted) => [...document.querySelectorAll('#chat-log li span')].some((item) => item.textContent === wanted), text);
    const times = await page.evaluate((wanted) => [...document.querySelectorAll('#chat-log li span')].filter((item) => item.textContent === wanted).length, text);
    assert.equal(times, 1);
  }
}
