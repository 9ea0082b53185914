// The pages of examples/greeting as a reader opens them, with the libraries that they name; what the public CDN would send
// comes from what npm installed here, and the pages check that it is the same.
// Does not know: the code of the pages, only what they show, and how the older one calls its client.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { openPage, startChromium } from './support/browser.mjs';
import { startExample } from './support/gateway.mjs';

const ways = [
  { name: 'stompjs 2.3.3 over SockJS', path: '/', expected: 'open over websocket' },
  { name: 'stompjs 2.3.3 over SockJS, without websocket', path: '/', expected: 'open over xhr-streaming', without: 'WebSocket' },
  { name: 'stompjs 7 over a plain websocket', path: '/websocket.html', expected: 'open over plain websocket' },
];
const script = '<script>window.stolen = true</script><img src=x onerror="window.stolen = true"> & co';

let browser;
let example;

before(async () => {
  [example, browser] = await Promise.all([startExample('greeting'), startChromium()]);
});

after(async () => {
  await browser?.close();
  await example?.stop();
});

describe('examples/greeting', () => {
  for (const way of ways) {
    it(way.name, { timeout: 60_000 }, async () => {
      const pages = await Promise.all([open(way), open(ways[0])]);
      const [mine] = pages;
      try {
        await mine.page.fill('#name', 'Ann');
        await mine.page.click('#send');
        await shows(pages, 'Hello, Ann!');
        await mine.page.fill('#name', script);
        await mine.page.press('#name', 'Enter');
        await shows(pages, `Hello, ${script}!`);

        // Nobody needs the application to send to the topic.
        await pages[1].page.evaluate((content) => client.send('/topic/greetings', {}, JSON.stringify({ content })), `${script}, unescaped`);
        await shows(pages, ' & co, unescaped');
        for (const { page, problems } of pages) {
          assert.equal(await page.evaluate(() => window.stolen), undefined);
          assert.equal(await page.locator('#greetings li *').count(), 0);
          assert.deepEqual(problems, []);
        }

        await mine.page.click('#disconnect');
        await mine.page.waitForFunction(() => document.querySelector('#state').textContent === 'closed');
        await mine.page.click('#connect');
        await isOpen(mine, way);
      } finally {
        await Promise.all(pages.map(({ context }) => context.close()));
      }
    });
  }
});

async function open(way) {
  const opened = await openPage(browser);
  await opened.context.route('https://cdn.jsdelivr.net/npm/**', library);
  if (way.without) await opened.page.addInitScript((name) => { delete window[name]; }, way.without);
  await opened.page.goto(`${example.url}${way.path}`);
  await opened.page.click('#connect');
  await isOpen(opened, way);
  return opened;
}

async function isOpen({ page }, { expected }) {
  await page.waitForFunction((text) => document.querySelector('#state').textContent === text, expected);
}

async function shows(pages, text) {
  for (const { page } of pages) {
    await page.waitForFunction((wanted) => document.querySelector('#greetings li:last-child')?.textContent === wanted, text);
  }
}

/** Answers for the CDN with the file of the same package and version. */
async function library(route) {
  const [, name, version, file] = new URL(route.request().url()).pathname.match(/^\/npm\/((?:@[^/]+\/)?[^@/]+)@([^/]+)\/(.+)$/);
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  assert.equal(JSON.parse(await readFile(new URL('package.json', folder), 'utf8')).version, version);
  await route.fulfill({
    body: await readFile(new URL(file, folder)),
    contentType: 'text/javascript; charset=utf-8',
    headers: { 'access-control-allow-origin': '*' },
  });
}
