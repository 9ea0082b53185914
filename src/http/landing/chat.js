// The chat: one line of text is one STOMP message with its particulars in headers, so any STOMP client can join in.
// A line comes in over every open transport; it is shown once, with a mark for each arrival.
//
// Does not know: how lines travel.

const shownLines = 200;
const knownLines = 1_000;
const deliveryLimit = 8_000;

const companions = ['heron', 'otter', 'coot', 'kingfisher', 'vole', 'swan', 'pike', 'teal', 'dipper', 'newt'];

class Chat {
  #form = document.querySelector('#chat-form');
  #text = document.querySelector('#chat-text');
  #name = document.querySelector('#chat-name');
  #over = document.querySelector('#chat-over');
  #log = document.querySelector('#chat-log');
  #rows;
  #turn = 0;
  /** What is known of each line by its key; the oldest go first. */
  #lines = new Map();

  constructor(rows) {
    this.#rows = rows;
    this.#name.value = `${companions[Math.floor(Math.random() * companions.length)]}-${Math.floor(10 + Math.random() * 90)}`;
    for (const { name } of rows) this.#over.append(new Option(name, name));
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#say();
    });
    this.update();
  }

  /** Shows which transports can send now. */
  update() {
    const open = this.#rows.filter((row) => row.isOpen);
    for (const row of this.#rows) {
      const option = [...this.#over.options].find(({ value }) => value === row.name);
      option.disabled = !row.isOpen;
    }
    this.#text.placeholder = open.length > 0 ? 'Say something' : 'Waiting for a connection';
  }

  /** Takes a message of the chat topic that came in over a transport. */
  line(transport, body, headers) {
    // Lines of other programs have no `line` header; a message-id alone would come again after a restart of the gateway.
    const key = headers.get('line') ?? `${headers.get('message-id')} ${body}`;
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = this.#add(body, headers);
      this.#lines.set(key, line);
      if (this.#lines.size > knownLines) this.#lines.delete(this.#lines.keys().next().value);
    }
    this.#arrived(line, transport);
  }

  #say() {
    const text = this.#text.value.trim();
    const row = this.#sender();
    if (text === '' || row === undefined) return;
    const key = randomName(16);
    row.say(text, { line: key, from: this.#name.value.trim() || 'somebody', over: row.name });
    setTimeout(() => this.#miss(key, text), deliveryLimit);
    this.#text.value = '';
    this.#text.focus();
  }

  #sender() {
    const open = this.#rows.filter((row) => row.isOpen);
    if (this.#over.value === 'first') return open[0];
    if (this.#over.value === 'turns') return open[this.#turn++ % open.length];
    return open.find(({ name }) => name === this.#over.value) ?? open[0];
  }

  /** A line that did not come back may be lost, and whoever wrote it is told. */
  #miss(key, text) {
    if (this.#lines.has(key)) return;
    this.#append(element('li', 'missed', `This did not come back and may be lost: ${text}`));
  }

  #add(body, headers) {
    const item = element('li', 'line');
    const head = element('span', 'head');
    const over = headers.get('over');
    head.append(element('b', '', clip(headers.get('from') ?? 'a STOMP client', 40)));
    if (over in kinds) head.append(element('span', 'sent', `over ${over}`));
    head.append(element('time', '', new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })));
    const marks = element('span', 'marks');
    // One picture with one description. The log is read out when a line comes, not once more for every arrival.
    marks.setAttribute('role', 'img');
    marks.setAttribute('aria-live', 'off');
    for (const { name, isOpen } of this.#rows) if (isOpen) marks.append(mark(name));
    item.append(head, element('span', 'said', clip(body, 2_000)), marks);
    this.#append(item);
    return { marks, began: performance.now(), arrived: new Set() };
  }

  #arrived({ marks, began, arrived }, transport) {
    if (arrived.has(transport)) return;
    arrived.add(transport);
    let sign = marks.querySelector(`[data-over="${transport}"]`);
    if (!sign) marks.append(sign = mark(transport));
    sign.dataset.arrived = '';
    sign.title = `${transport}, ${arrived.size === 1 ? 'first' : `${duration(performance.now() - began)} later`}`;
    marks.setAttribute('aria-label', `arrived over ${[...arrived].join(', ')}`);
    flash(sign);
  }

  #append(item) {
    const frame = this.#log.parentElement;
    const atEnd = frame.scrollHeight - frame.scrollTop - frame.clientHeight < 60;
    this.#log.append(item);
    while (this.#log.children.length > shownLines) this.#log.firstElementChild.remove();
    if (atEnd) frame.scrollTop = frame.scrollHeight;
  }
}

/** Everything that comes from outside goes in as text, never as markup. */
function element(tag, className, text = '') {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
