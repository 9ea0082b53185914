// Serves this folder's pages, and under /lib/ what npm installed: node serve.mjs, or PORT=3001 node serve.mjs.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const files = {
  '/': 'index.html',
  '/legacy.html': 'legacy.html',
  '/page.js': 'page.js',
  '/chat.css': 'chat.css',
  '/lib/sockjs.js': 'node_modules/sockjs-client/dist/sockjs.min.js',
  '/lib/stomp-7.js': 'node_modules/@stomp/stompjs/bundles/stomp.umd.min.js',
  '/lib/stomp-2.js': 'node_modules/stompjs/lib/stomp.min.js',
};
const types = { html: 'text/html', js: 'text/javascript', css: 'text/css' };

const server = createServer(async (request, response) => {
  const file = files[new URL(request.url, 'http://localhost').pathname];
  if (!file) return response.writeHead(404).end('not found\n');
  const body = await readFile(fileURLToPath(new URL(file, import.meta.url)));
  response.writeHead(200, { 'content-type': `${types[file.split('.').pop()]}; charset=utf-8` }).end(body);
});

server.listen(process.env.PORT ?? 3000, '127.0.0.1', () => {
  console.log(`The chat is at http://127.0.0.1:${server.address().port}/`);
});
