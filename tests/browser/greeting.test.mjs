// The pages of examples/greeting as a reader opens them, with the libraries that they name; what the public CDN would send
// comes from what npm installed here, and the pages check that it is the same.
// Does not know: the code of the pages, only what they show, and how the older one calls its client.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openPage, startChromium } from './support/browser.mjs';
import { startExample, startGateway, startProgram } from './support/gateway.mjs';

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

// The gateway is the binary, which serves no pages of ours: that of the example is put into one that it has.
describe('examples/greeting_webhook', () => {
  for (const way of ways) {
    it(way.name, { timeout: 60_000 }, async () => {
      const backend = await startProgram('python3', [fileOf('greeting_webhook/backend.py'), '0']);
      const toml = await readFile(fileOf('greeting_webhook/towpath.toml'), 'utf8');
      const config = toml.replace('http://127.0.0.1:3000', backend.url);
      assert.notEqual(config, toml);
      const gateway = await startGateway([], { config });
      try {
        const mine = await open(way, gateway.url);
        await mine.page.fill('#name', script);
        await mine.page.click('#send');
        await shows([mine], `Hello, ${script}!`);
        assert.equal(await mine.page.evaluate(() => window.stolen), undefined);
        await backend.stop();
        await mine.page.fill('#name', 'Ann');
        await mine.page.click('#send');
        // Nobody listens for errors there, so a backend that is down ends the session, and is not passed over.
        await mine.page.waitForFunction(() => !document.querySelector('#state').textContent.startsWith('open'));
        await mine.context.close();
      } finally {
        await Promise.all([backend.stop(), gateway.stop()]);
      }
    });
  }
});

function fileOf(example) {
  return fileURLToPath(new URL(`../../examples/${example}`, import.meta.url));
}

async function open(way, url = example.url) {
  const opened = await openPage(browser);
  await opened.context.route('https://cdn.jsdelivr.net/npm/**', library);
  if (way.without) await opened.page.addInitScript((name) => { delete window[name]; }, way.without);
  if (url === example.url) {
    await opened.page.goto(`${url}${way.path}`);
  } else {
    // A document from the network, see showInGreeting; what stands in it comes from the example.
    await opened.context.route(`${url}/app.js`, (route) => route.fulfill({ path: fileOf('greeting/app.js') }));
    await opened.page.goto(`${url}/gs-guide-websocket`);
    await opened.page.setContent(await readFile(fileOf(`greeting/${way.path.slice(1) || 'index.html'}`), 'utf8'));
  }
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
