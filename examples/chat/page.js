// What both pages share: the form, the list of messages and the line that says how the connection is doing.
// Nothing in here knows SockJS or STOMP.

const gateway = new URLSearchParams(location.search).get('gateway') ?? 'http://127.0.0.1:8080';
const topic = '/topic/chat';
const me = `guest-${Math.floor(1000 + Math.random() * 9000)}`;

const form = document.querySelector('#chat-form');
const text = document.querySelector('#chat-text');
const log = document.querySelector('#chat-log');
const state = document.querySelector('#state');

/** Calls `send` with the text of one message, whenever the form is submitted. */
function onSay(send) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (text.value.trim() !== '') send(JSON.stringify({ from: me, text: text.value }));
    text.value = '';
    text.focus();
  });
}

/** Adds a message to the list. textContent, never innerHTML: what others wrote is text, not markup. */
function show(body) {
  const message = JSON.parse(body);
  const item = document.createElement('li');
  const from = document.createElement('b');
  const said = document.createElement('span');
  from.textContent = message.from;
  said.textContent = message.text;
  item.classList.toggle('mine', message.from === me);
  item.append(from, said);
  log.append(item);
  item.scrollIntoView({ block: 'nearest' });
}

/** Shows how the connection is doing; the form works only while it is open. */
function setState(name, detail) {
  state.dataset.state = name;
  state.textContent = detail;
  for (const field of form.elements) field.disabled = name !== 'open';
}
