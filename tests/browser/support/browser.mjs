// Chromium: one process per test file, one fresh context (own connections, cookies, cache) per page under test.
// Does not know: SockJS and STOMP.

import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const pages = join(here, '../pages');
const screenshots = join(here, '../screenshots');

// Nothing the browser does on its own account may reach the network or disturb the timing.
const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Starts Debian's Chromium with a fresh profile (Playwright makes and removes it). */
export function startChromium() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: flags,
  });
}

/** A page in its own context that keeps what went wrong in it (`problems`) and what it asked for (`requests`). */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const problems = [];
  const requests = [];
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
  page.on('console', (line) => { if (line.type() === 'error') problems.push(`console: ${line.text()} (${line.location().url})`); });
  page.on('request', (request) => requests.push(request.url()));
  page.on('websocket', (socket) => requests.push(socket.url()));
  return { page, context, problems, requests };
}

/** Shows `name` from pages/ with the origin of the static server at `files`. */
export function show(page, name, files) {
  return page.goto(`${files}/pages/${name}`);
}

/**
 * Runs the scripts of `name` in a page that the gateway itself serves: its greeting under `service`.
 *
 * Some transports (htmlfile) run only when page and gateway share an origin. A reverse proxy in front of both would change
 * the wire under test, and a document that the browser got from the test instead of the network would not count as loopback
 * to Chromium's local network checks; the greeting is a real document of the right origin.
 */
export async function showInGreeting(page, name, service, files) {
  await page.goto(service);
  const text = await readFile(join(pages, name), 'utf8');
  for (const [, source] of text.matchAll(/<script src="([^"]+)">/g)) {
    await page.addScriptTag({ url: new URL(source, `${files}/pages/`).href });
  }
}

/** Keeps what `page` looks like as screenshots/`name`.png, for people to look at. */
export async function screenshot(page, name) {
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

/** `promise`, or an error that says what took longer than `limit` milliseconds; `explain` adds what was seen until then. */
export async function within(limit, what, promise, explain = () => '') {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(async () => reject(new Error(`${what}: not within ${limit} ms. ${await explain()}`)), limit);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
