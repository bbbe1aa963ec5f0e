// Receives pushes over event streams with an unmodified EventSource, and acknowledges them.
//
// usage: events.js URL DEVICE=TOKEN...
//
// Prints one JSON line for each stream that opens, each push, and each error. `closed` tells that the EventSource does
// not reconnect any more.
'use strict';

const { EventSource } = require('eventsource');

const print = (line) => console.log(JSON.stringify(line));

function acknowledge(url, headers) {
  const acknowledgement = {
    method: 'POST',
    // A stopping node waits for connections that are in use.
    headers: { ...headers, 'Content-Type': 'application/json', Connection: 'close' },
    body: JSON.stringify({ state: 'received' }),
  };
  // A push whose acknowledgement is lost is delivered and acknowledged again.
  fetch(url, acknowledgement).catch(() => {});
}

function receive(url, device, token) {
  const headers = { Authorization: `Bearer ${token}` };
  const path = `${url}/v1/devices/${device}`;
  const events = new EventSource(`${path}/events`, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
  });
  events.addEventListener('open', () => print({ device, opened: true }));
  events.addEventListener('push', ({ data }) => {
    const { push_id: push } = JSON.parse(data);
    print({ device, push });
    acknowledge(`${path}/pushes/${push}/ack`, headers);
  });
  events.addEventListener('error', ({ code, message }) => {
    print({ device, code, message, closed: events.readyState === EventSource.CLOSED });
  });
}

const [url, ...devices] = process.argv.slice(2);
for (const device of devices) receive(url, ...device.split('='));
