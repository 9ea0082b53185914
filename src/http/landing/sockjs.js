// SockJS as a client speaks it, once for each transport of today's browsers (SockJS protocol, frames and transports).
//
// A transport is a function (base, on) -> { send(text), close() }. It calls on.open() once, on.message(text) for each message,
// and on.end(why) once, with words for people; after close() it calls nothing. A raw websocket has the same shape without SockJS.
//
// Does not know: STOMP, when to connect again, the page.

const transports = {
  'websocket': (base, on) => {
    const session = new Session(on);
    const socket = openSocket(`${sessionUrl(base)}/websocket`, [], session);
    socket.onmessage = ({ data }) => session.frame(data);
    return link(session, (text) => socket.send(JSON.stringify([text])));
  },

  'raw-websocket': (base, on) => {
    const session = new Session(on);
    const socket = openSocket(`${base}/websocket`, ['v12.stomp'], session);
    const decoder = new TextDecoder();
    socket.onopen = () => session.open();
    socket.onmessage = ({ data }) => session.message(typeof data === 'string' ? data : decoder.decode(data));
    return link(session, (text) => socket.send(text));
  },

  'xhr-streaming': (base, on) => overHttp(base, on, async (url, session) => {
    const response = await post(`${url}/xhr_streaming`, session);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let begun = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (begun + value).split('\n');
      begun = lines.pop();
      for (const line of lines) session.frame(line);
    }
  }),

  'xhr-polling': (base, on) => overHttp(base, on, async (url, session) => {
    const response = await post(`${url}/xhr`, session);
    for (const line of (await response.text()).split('\n')) session.frame(line);
  }),

  'eventsource': (base, on) => overHttp(base, on, (url, session) => new Promise((resolve) => {
    const source = new EventSource(`${url}/eventsource`);
    const done = () => { source.close(); resolve(); };
    // The gateway escapes per cents, because this is what the SockJS clients of the world do with the data.
    source.onmessage = ({ data }) => session.frame(decodeURI(data));
    // A stream that has reached its limit ends with an error event, too. Left alone, the browser would ask again after a pause of
    // its own, in which nothing is received.
    source.onerror = done;
    session.signal.addEventListener('abort', done, { once: true });
  })),
};

/** One session as its client sees it: turns frames into events and tells the end once. */
class Session {
  /** Frames that were read so far, the prelude of a stream not counted. */
  frames = 0;

  #on;
  #state = 'new';
  #ended = new AbortController();

  constructor(on) {
    this.#on = on;
  }

  /** Aborted when the session ends, whoever ends it. */
  get signal() {
    return this.#ended.signal;
  }

  get ended() {
    return this.#state === 'ended';
  }

  frame(text) {
    if (this.ended || text === '') return;
    const kind = text[0];
    if (kind === 'h' && text !== 'h') return; // the prelude of a stream
    this.frames += 1;
    if (kind === 'o') return this.open();
    if (kind !== 'a' && kind !== 'c') return;
    const list = parseList(text.slice(1));
    if (list === undefined) this.end('the gateway sent something that is no SockJS');
    else if (kind === 'a') list.forEach((message) => this.message(message));
    else this.closedByGateway(...list);
  }

  open() {
    if (this.#state === 'open') return this.end('the gateway does not remember the session');
    this.#state = 'open';
    this.#on.open();
  }

  message(text) {
    if (!this.ended) this.#on.message(text);
  }

  closedByGateway(code, reason) {
    this.end(`the gateway closed it: ${reason} (${code})`);
  }

  end(why) {
    if (this.ended) return;
    this.close();
    this.#on.end(why);
  }

  close() {
    this.#state = 'ended';
    this.#ended.abort();
  }
}

function parseList(text) {
  try {
    const list = JSON.parse(text);
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}

function link(session, send) {
  return { send, close: () => session.close() };
}

function openSocket(url, protocols, session) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), protocols);
  socket.binaryType = 'arraybuffer';
  socket.onclose = ({ code, reason }) => {
    if (reason === '') session.end('the connection broke');
    else session.closedByGateway(code, reason);
  };
  session.signal.addEventListener('abort', () => socket.close());
  return socket;
}

/** Receives with one request after the other, each of them `receive`, and sends with xhr_send. */
function overHttp(base, on, receive) {
  const url = sessionUrl(base);
  const session = new Session(on);
  keepReceiving(() => receive(url, session), session);
  return link(session, sender(`${url}/xhr_send`, session));
}

async function keepReceiving(receive, session) {
  try {
    while (!session.ended) {
      const before = session.frames;
      await receive();
      // Asking again at once is right only as long as the answers say something.
      if (session.frames === before) session.end('the connection broke');
    }
  } catch (error) {
    session.end(wording(error));
  }
}

/** Sends in order: one request at a time, and all that waited meanwhile goes together in the next. */
function sender(url, session) {
  let waiting = [];
  let busy = false;
  const flush = async () => {
    busy = true;
    try {
      while (waiting.length > 0 && !session.ended) {
        const messages = waiting;
        waiting = [];
        await post(url, session, JSON.stringify(messages));
      }
    } catch (error) {
      session.end(wording(error));
    }
    busy = false;
  };
  return (text) => {
    waiting.push(text);
    if (!busy) flush();
  };
}

async function post(url, session, body) {
  const response = await fetch(url, {
    method: 'POST',
    headers: body === undefined ? {} : { 'content-type': 'text/plain' },
    body,
    cache: 'no-store',
    signal: session.signal,
  });
  if (!response.ok) throw new RefusedError(`${new URL(url).pathname.split('/').pop()} was answered ${response.status}`);
  return response;
}

class RefusedError extends Error {}

function wording(error) {
  return error instanceof RefusedError ? error.message : 'the connection broke';
}

function sessionUrl(base) {
  const server = String(Math.floor(Math.random() * 1000)).padStart(3, '0');
  return `${base}/${server}/${randomName(16)}`;
}

/** Hexadecimal digits that nobody can guess: whoever knows a session's id can speak for it. */
function randomName(digits) {
  const bytes = crypto.getRandomValues(new Uint8Array(digits / 2));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
