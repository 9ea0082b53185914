// Puts the page together: the rows, the chat, the summary on top and the snippets below.
//
// Does not know: how any of them works.

const pingInterval = 5_000;

const rows = Object.keys(transports).map((name) => new Row(name));
const chat = new Chat(rows);

for (const row of rows) row.run({ change: update, line: (...line) => chat.line(...line) });
measureInTurn();
fillSnippets();

function update() {
  const open = rows.filter((row) => row.isOpen);
  for (const row of rows) {
    document.querySelector(`[data-porthole="${row.name}"]`).classList.toggle('lit', row.isOpen);
  }
  // Set only when it differs: a status is read out when it is set.
  const summary = document.querySelector('#summary');
  const text = `${open.length} of ${rows.length} transports open`;
  if (summary.textContent !== text) summary.textContent = text;
  summary.dataset.open = open.length === 0 ? 'none' : 'some';
  document.querySelector('#server').textContent = open.length > 0 ? open[0].server : '';
  chat.update();
}

/** One row after the other, so that round trips do not wait for each other; none while nobody looks. */
function measureInTurn() {
  let turn = 0;
  let timer;
  const follow = () => {
    clearInterval(timer);
    for (const row of rows) row.forget();
    if (!document.hidden) timer = setInterval(() => rows[turn++ % rows.length].measure(), pingInterval / rows.length);
  };
  document.addEventListener('visibilitychange', follow);
  follow();
}

function fillSnippets() {
  document.querySelector('#info-link').href = `${endpoint}/info`;
  document.querySelector('#client-snippet').textContent = `import { Client } from '@stomp/stompjs';
import SockJS from 'sockjs-client';

const topic = '${chatTopic}';
const client = new Client({
  webSocketFactory: () => new SockJS('${endpoint}'),
  onConnect() {
    client.subscribe(topic, (message) => console.log(message.body));
    client.publish({ destination: topic, body: 'Hello from a script' });
  },
});
client.activate();`;
  if (!navigator.clipboard) return; // browsers offer it to secure pages only
  for (const button of document.querySelectorAll('.copy')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const copied = navigator.clipboard.writeText(button.closest('figure').querySelector('code').textContent);
      button.textContent = await copied.then(() => 'Copied', () => 'Not allowed');
      setTimeout(() => { button.textContent = 'Copy'; }, 2_000);
    });
  }
}
