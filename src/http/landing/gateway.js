// What the page knows about its surroundings: where the endpoint is, what it offers, whether anybody is looking, and whether
// another tab of this browser is using a transport.
//
// Does not know: STOMP, how a row looks.

/** The endpoint's URL without a slash at the end. `/?endpoint=/chat` looks at another endpoint of the same gateway. */
const endpoint = (() => {
  const asked = new URL(new URLSearchParams(location.search).get('endpoint') ?? 'stomp', location.href);
  const url = asked.origin === location.origin ? asked : new URL('stomp', location.href);
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
})();

const infoLifetime = 1_000;
let latestInfo;

/** Why a transport cannot be opened now, as { state, why }; undefined if it can. */
async function obstacle(name) {
  const lacking = browserLacks(name);
  if (lacking) return { state: 'off', why: `this browser has no ${lacking}` };
  // All rows ask at the same time, before the first attempt and after a lost gateway: one request answers all of them.
  if (!(performance.now() - latestInfo?.asked < infoLifetime)) {
    latestInfo = { asked: performance.now(), answer: readInfo() };
  }
  const { failure, offered } = await latestInfo.answer;
  if (failure) return failure;
  if (offered && !offered.includes(name)) return { state: 'off', why: 'disabled on this endpoint' };
  return undefined;
}

async function readInfo() {
  const path = new URL(endpoint).pathname;
  try {
    const response = await fetch(`${endpoint}/info`, { cache: 'no-store', signal: AbortSignal.timeout(8_000) });
    if (response.ok) {
      const info = await response.json();
      return { offered: Array.isArray(info.transports) ? info.transports : undefined };
    }
    const known = { 403: `${path} does not allow this page's origin`, 404: `there is no endpoint at ${path}` };
    return { failure: { state: 'off', why: known[response.status] ?? `${path}/info was answered ${response.status}` } };
  } catch {
    return { failure: { state: 'waiting', why: 'the gateway does not answer' } };
  }
}

function browserLacks(name) {
  const needs = {
    'websocket': ['WebSocket'],
    'raw-websocket': ['WebSocket'],
    'xhr-streaming': ['ReadableStream', 'TextDecoderStream'],
    'eventsource': ['EventSource'],
  };
  return needs[name]?.find((feature) => !(feature in window));
}

function isOverHttp(name) {
  return !name.endsWith('websocket');
}

/**
 * Runs `hold` while no other tab runs it for the same transport; calls `wait` first if one does. Browsers open six HTTP
 * connections to a host in all, and every receiving transport keeps one busy: two pages that took three each would leave none
 * to send with.
 * Where the browser offers locks to secure pages only, and this is none, the tabs go on without.
 */
async function inOneTab(name, wait, hold) {
  if (!navigator.locks) return hold();
  const lock = `towpath ${endpoint} ${name}`;
  const free = await navigator.locks.request(lock, { ifAvailable: true }, (taken) => (taken ? hold() : undefined));
  if (free) return free;
  wait();
  return navigator.locks.request(lock, hold);
}

/** Resolves as soon as the page can be seen, at once if it can be. */
function whenVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener('visibilitychange', function seen() {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', seen);
      resolve();
    });
  });
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
