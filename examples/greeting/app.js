// What both pages share: buttons, and the list of greetings. Nothing in here knows SockJS or STOMP.

const part = (id) => document.querySelector(`#${id}`);

/** Does with `client` what the buttons say. */
function greetings(client) {
  part('connect').addEventListener('click', () => client.connect());
  part('disconnect').addEventListener('click', () => client.disconnect());
  part('hello').addEventListener('submit', (event) => {
    event.preventDefault();
    client.send(part('name').value);
  });
}

/** Shows over what there is a connection, or null. */
function setConnected(transport) {
  part('state').textContent = transport ? `open over ${transport}` : 'closed';
  part('connect').disabled = transport !== null;
  part('disconnect').disabled = part('send').disabled = transport === null;
}

/**
 * Adds a greeting. It comes escaped and is made a text again; nothing in it is ever taken for a part of the page, since anybody may
 * send to the topic.
 */
function show(content) {
  const item = document.createElement('li');
  item.textContent = new DOMParser().parseFromString(content, 'text/html').body.textContent;
  part('greetings').append(item);
}
