// Every transport of sockjs-client 1.6.1 that a current browser can run, as rows: what it needs and how it shows on the wire.
// Does not know: the scenarios.
//
// `origin`  "other": page and gateway have different origins, as in most deployments (CORS and the iframe pages are in play);
//           "same": sockjs-client offers the transport only to pages of the gateway's own origin.
// `wire`    the last path segment of the request that carries messages to the page.
// `deaf`    a lost connection shows only when the page sends: Chromium fires no load event for a document that broke off,
//           and that event is all sockjs-client listens for.
//
// htmlfile is said to need ActiveX; where there is none, sockjs-client 1.6.1 runs it in an ordinary iframe.
// xdr-streaming and xdr-polling (`notRun`) use the URLs and frames of xhr-streaming and xhr-polling.

export const transports = [
  { name: 'websocket', origin: 'other', wire: 'websocket' },
  { name: 'xhr-streaming', origin: 'other', wire: 'xhr_streaming' },
  { name: 'eventsource', origin: 'other', wire: 'eventsource' },
  { name: 'iframe-eventsource', origin: 'other', wire: 'eventsource' },
  { name: 'htmlfile', origin: 'same', wire: 'htmlfile', deaf: true },
  { name: 'iframe-htmlfile', origin: 'other', wire: 'htmlfile', deaf: true },
  { name: 'xhr-polling', origin: 'other', wire: 'xhr' },
  { name: 'iframe-xhr-polling', origin: 'other', wire: 'xhr' },
  { name: 'jsonp-polling', origin: 'other', wire: 'jsonp' },
];

/** The rest of sockjs-client's transports, and why they are not in the list. */
export const notRun = [
  { name: 'xdr-streaming', reason: 'needs XDomainRequest, which only Internet Explorer 8 and 9 had' },
  { name: 'xdr-polling', reason: 'needs XDomainRequest, which only Internet Explorer 8 and 9 had' },
];

/** The path segments of `requests` that belong to SockJS sessions: `.../server/session/TRANSPORT?query`. */
export function sessionRequests(requests) {
  return requests.map((url) => new URL(url).pathname.match(/\/\d{3}\/[a-z0-5]{8}\/([a-z_]+)$/)?.[1]).filter(Boolean);
}
