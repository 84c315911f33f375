// What an application on Node's own server can say: node server.js ADDRESS PORT
const http = require('node:http');

const chunks = '5\r\nhello\r\n0\r\n\r\n';

const server = http.createServer((request, response) => {
  const say = (head, body = 'hello', status = 200) => {
    response.writeHead(status, head);
    response.end(body);
  };
  // Past the library, as a handler of upgrades or a proxy does it.
  const raw = (lines, body = 'hello') => request.socket.write(lines.join('') + body);
  switch (request.url) {
    case '/the-length-twice':
      return say(['Content-Length', '5', 'Content-Length', '5']);
    case '/chunked-twice':
      return say(['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']);
    case '/both-lengths':
      return say(['Content-Length', '5', 'Transfer-Encoding', 'chunked']);
    case '/204-with-a-length':
      return say({ 'Content-Length': 5 }, '', 204);
    case '/204-in-chunks':
      return say({ 'Transfer-Encoding': 'chunked' }, '', 204);
    case '/140-cookies':
      return say({ 'Set-Cookie': Array.from({ length: 140 }, (_, i) => `cookie-${i}=value`), 'Content-Length': 5 });
    case '/a-head-of-70-KiB':
      return say({ 'X-Long': 'a'.repeat(70 << 10), 'Content-Length': 5 });
    case '/bare-LFs':
      return raw(['HTTP/1.1 200 OK\n', 'Content-Length: 5\n', '\n']);
    case '/bare-LFs-in-chunks':
      return raw(['HTTP/1.1 200 OK\r\n', 'Transfer-Encoding: chunked\r\n', '\r\n'], '5\nhello\r\n0\r\n\r\n');
    case '/an-empty-line-first':
      return raw(['\r\n', 'HTTP/1.1 200 OK\r\n', 'Content-Length: 5\r\n', '\r\n']);
    case '/a-folded-line':
      return raw(['HTTP/1.1 200 OK\r\n', 'X-Folded: a\r\n b\r\n', 'Content-Length: 5\r\n', '\r\n']);
    case '/a-tab-before-chunked':
      return raw(['HTTP/1.1 200 OK\r\n', 'Transfer-Encoding:\tchunked\r\n', '\r\n'], chunks);
    case '/a-list-of-codings':
      return raw(['HTTP/1.1 200 OK\r\n', 'Transfer-Encoding: chunked, chunked\r\n', '\r\n'], chunks);
    default:
      return say({ 'Content-Length': 5 });
  }
});
server.listen(Number(process.argv[3]), process.argv[2]);
