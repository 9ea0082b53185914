// One row of the table: keeps one transport connected for as long as the page is open, measures it and shows how it is doing.
//
// Does not know: the wire, the chat, the other rows.

const chatTopic = '/topic/landing/chat';

const openLimit = 10_000;
const echoLimit = 10_000;
const recheck = 30_000;
const firstPause = 500;
const longestPause = 10_000;
const traceLength = 24;

const kinds = {
  'websocket': { mark: 'ws', detail: 'SockJS frames in a websocket' },
  'raw-websocket': { mark: 'raw', detail: 'STOMP frames in a websocket, no SockJS' },
  'xhr-streaming': { mark: 'xs', detail: 'one long response; sends are requests' },
  'xhr-polling': { mark: 'xp', detail: 'one response per delivery; sends are requests' },
  'eventsource': { mark: 'es', detail: 'server-sent events; sends are requests' },
};

class Row {
  #on = { change() {}, line() {} };
  #element;
  #cells = {};
  #stomp;
  #received = 0;
  #trips = [];
  #ping;
  #pingTopic = `/topic/landing/ping/${randomName(32)}`;
  #pings = 0;
  #giveUp = () => {};

  constructor(name) {
    this.name = name;
    this.#element = document.querySelector('#row-template').content.firstElementChild.cloneNode(true);
    this.#element.dataset.transport = name;
    for (const cell of this.#element.querySelectorAll('[data-field]')) this.#cells[cell.dataset.field] = cell;
    this.#element.querySelector('.mark').replaceWith(mark(name));
    this.#element.querySelector('.title').textContent = name;
    this.#cells['open-time'].textContent = '\u2013';
    this.#cells['round-trip'].textContent = '\u2013';
    this.#cells.received.textContent = '0';
    this.#show('connecting');
    document.querySelector('#rows').append(this.#element);
  }

  get isOpen() {
    return this.#element.dataset.state === 'open';
  }

  /** What the `server` header of the last CONNECTED said. */
  server = '';

  /**
   * Keeps the transport connected; never resolves. `on.change()` is called with every change of state, and
   * `on.line(name, body, headers)` with each message of the chat.
   */
  async run(on) {
    this.#on = on;
    let failures = 0;
    for (;;) {
      if (document.hidden) this.#show('paused', 'waits until this page is looked at');
      await whenVisible();
      this.#show('connecting');
      const { state, why, opened } = await this.#attempt();
      failures = opened ? 0 : failures + 1;
      if (state !== 'paused') await this.#rest(state, why, state === 'off' ? recheck : pauseAfter(failures));
    }
  }

  /** Sends a line of the chat. */
  say(body, headers) {
    this.#stomp.send(chatTopic, body, headers);
  }

  /** Starts the next round trip, unless one is still under way; gives the connection up if that one takes too long. */
  measure() {
    if (!this.isOpen) return;
    if (this.#ping === undefined) {
      this.#pings += 1;
      this.#ping = { number: String(this.#pings), sent: performance.now() };
      this.#stomp.send(this.#pingTopic, this.#ping.number);
    } else if (performance.now() - this.#ping.sent > echoLimit) {
      this.#giveUp(`no echo within ${echoLimit / 1000} s`);
    }
  }

  /** Forgets the round trip under way: nobody was looking, and the browser held its timers. */
  forget() {
    this.#ping = undefined;
  }

  /** Opens a connection and resolves when it is over, to { state, why, opened }. */
  async #attempt() {
    const found = await obstacle(this.name);
    if (found) return found;
    if (!isOverHttp(this.name)) return this.#converse();
    const wait = () => this.#show('waiting', 'another tab of this browser has it');
    return inOneTab(this.name, wait, () => this.#converse());
  }

  #converse() {
    if (document.hidden) return { state: 'paused' };
    this.#show('connecting');
    const started = performance.now();
    return new Promise((resolve) => {
      let opened = false;
      const finish = (state, why) => {
        clearTimeout(late);
        document.removeEventListener('visibilitychange', hide);
        this.#stomp.close();
        this.#ping = undefined;
        resolve({ state, why, opened });
      };
      // A hidden page leaves the browser's few connections to the one that is looked at; its websockets go on.
      const hide = () => {
        if (document.hidden && isOverHttp(this.name)) finish('paused');
      };
      this.#giveUp = (why) => finish('waiting', why);
      const late = setTimeout(() => finish('waiting', `nothing came within ${openLimit / 1000} s`), openLimit);
      document.addEventListener('visibilitychange', hide);
      this.#stomp = connectStomp(transports[this.name], endpoint, {
        open: (headers) => {
          opened = true;
          clearTimeout(late);
          this.#opened(performance.now() - started, headers);
        },
        end: (why) => finish('waiting', why),
      });
    });
  }

  #opened(took, headers) {
    this.server = headers.get('server') ?? '';
    this.#stomp.subscribe(chatTopic, (body, headers) => {
      this.#count();
      this.#on.line(this.name, body, headers);
    });
    this.#stomp.subscribe(this.#pingTopic, (body) => {
      this.#count();
      this.#echo(body);
    });
    this.#cells['open-time'].textContent = duration(took);
    this.#show('open');
    this.measure();
  }

  #echo(number) {
    if (number !== this.#ping?.number) return;
    const took = performance.now() - this.#ping.sent;
    this.#ping = undefined;
    this.#cells['round-trip'].textContent = duration(took);
    this.#trips = [...this.#trips, took].slice(-traceLength);
    this.#element.querySelector('polyline').setAttribute('points', tracePoints(this.#trips));
  }

  #count() {
    this.#received += 1;
    this.#cells.received.textContent = this.#received.toLocaleString('en');
    flash(this.#element.querySelector('.mark'));
  }

  async #rest(state, why, pause) {
    let left = pause;
    for (; state === 'waiting' && left > 1_000; left -= 1_000) {
      this.#show(state, `${why}; next try in ${Math.ceil(left / 1_000)} s`);
      await sleep(1_000);
    }
    this.#show(state, why);
    await sleep(left);
  }

  #show(state, why) {
    this.#element.dataset.state = state;
    this.#cells.state.textContent = state;
    this.#cells.detail.textContent = why ? clip(why, 140) : kinds[this.name].detail;
    this.#on.change();
  }
}

/** The latest on the right. One slow trip would flatten all others, so the top is a multiple of the middle one. */
function tracePoints(trips) {
  const middle = [...trips].sort((a, b) => a - b)[Math.floor(trips.length / 2)];
  const x = (at) => 60 * (traceLength - trips.length + at) / (traceLength - 1);
  const y = (trip) => 17 - 16 * Math.min(trip / (2.5 * middle), 1);
  return trips.map((trip, at) => `${x(at).toFixed(1)},${y(trip).toFixed(1)}`).join(' ');
}

/** The small sign of a transport, the same in the table and in the chat. */
function mark(name) {
  const sign = document.createElement('span');
  sign.className = 'mark';
  sign.dataset.over = name;
  sign.textContent = kinds[name].mark;
  return sign;
}

const stillness = matchMedia('(prefers-reduced-motion: reduce)');

function flash(element) {
  if (stillness.matches || document.hidden) return;
  element.animate({ filter: ['brightness(1.5) saturate(1.6)', 'none'], scale: [1.18, 1] }, { duration: 450, easing: 'ease-out' });
}

/** Doubles from attempt to attempt; the dice keep a thousand pages from coming back in the same instant. */
function pauseAfter(failures) {
  return Math.min(firstPause * 2 ** failures, longestPause) * (0.8 + 0.4 * Math.random());
}

function duration(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}

function clip(text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}\u2026`;
}
