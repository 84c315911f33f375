// A web site for the tests with a browser: `node site.js NAME PORT LOG`. Its pages say NAME; whatever it is
// asked for is a line of JSON in LOG.
'use strict';

const { createHash } = require('crypto');
const { appendFileSync, writeFileSync } = require('fs');
const { createServer } = require('http');

const [name, port, log] = process.argv.slice(2);
writeFileSync(log, '');

const WORKER = `addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => event.respondWith(fetch(event.request)));`;

function note(request) {
  const { host, 'x-byway-key': key } = request.headers;
  appendFileSync(
    log,
    `${JSON.stringify({ server: name, host, method: request.method, url: request.url, key })}\n`,
  );
}

function answer(request, response) {
  note(request);
  const { pathname, searchParams } = new URL(request.url, 'http://site');
  const { origin } = request.headers;
  if (origin) {
    response.setHeader('access-control-allow-origin', origin);
    response.setHeader('access-control-allow-headers', 'x-app');
  }
  response.setHeader('cache-control', 'no-store');
  const say = (type, text) => response.setHeader('content-type', type).end(text);
  switch (pathname) {
    case '/to':
      return response.writeHead(302, { location: searchParams.get('url') }).end();
    case '/worker.js':
      return say('text/javascript', WORKER);
    case '/script.js':
      return say('text/javascript', '');
    case '/style.css':
      return say('text/css', '');
    case '/events':
      return say('text/event-stream', `data: ${name}\n\n`);
    case '/text':
      return say('text/plain', name);
    default:
      return say('text/html', `<!doctype html><html lang="en"><title>${name}</title><h1>${name}</h1>`);
  }
}

/** Says NAME in one frame of text. */
function greet(request, socket) {
  note(request);
  const accept = createHash('sha1').update(
    `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
  );
  socket.on('error', () => {});
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n' +
      `sec-websocket-accept: ${accept.digest('base64')}\r\n\r\n`,
  );
  socket.write(Buffer.concat([Buffer.from([0x81, name.length]), Buffer.from(name)]));
}

createServer(answer).on('upgrade', greet).listen(Number(port), '::');
