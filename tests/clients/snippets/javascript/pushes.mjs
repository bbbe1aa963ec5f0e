import { EventSource } from 'eventsource';

const device = `${process.env.SLIPWAY_URL}/v1/devices/${process.env.DEVICE_ID}`;
const headers = { Authorization: `Bearer ${process.env.DEVICE_TOKEN}` };
const applied = new Set();

function listen() {
  const events = new EventSource(`${device}/events`, {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
  });
  events.addEventListener('push', ({ data }) => handle(JSON.parse(data)).catch(console.error));
  events.addEventListener('error', ({ message }) => {
    console.error(message ?? 'the stream ended');
    // It reconnects by itself, except after a status other than 200, for example from a proxy without a server.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 1000 + 4000 * Math.random());
  });
}

// A push can arrive again: it is applied once, and acknowledged each time.
async function handle(push) {
  if (!applied.has(push.push_id)) {
    console.log('push', push.sequence, push.pack_url);
    applied.add(push.push_id);
  }
  const response = await fetch(`${device}/pushes/${push.push_id}/ack`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: JSON.stringify({ state: 'applied' }),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  console.log('acknowledged', await response.text());
}

listen();
