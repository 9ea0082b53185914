// A file server for the test pages and for the libraries that npm installed; its origin is never the gateway's.
// Does not know: what is in the files.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = join(dirname(fileURLToPath(import.meta.url)), '..');
const folders = { pages: join(here, 'pages'), lib: join(here, 'node_modules') };
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8' };

/** Serves `/pages/...` and `/lib/...` on a free loopback port. */
export async function startStaticServer() {
  const server = createServer(async (request, response) => {
    const [, folder, ...rest] = new URL(request.url, 'http://localhost').pathname.split('/');
    const root = folders[folder];
    const file = root && normalize(join(root, ...rest));
    try {
      if (!file?.startsWith(root)) throw new Error('outside of the served folders');
      const body = await readFile(file);
      response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
