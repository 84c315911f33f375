// An ordinary server: says its name and whom it sees, and sends bodies back.
const [name, host, port] = process.argv.slice(2);
const server = require('http').createServer((request, response) => {
  if (request.method === 'POST') {
    request.pipe(response);
    return;
  }
  const { remoteAddress, remotePort } = request.socket;
  response.end(`${name} ${remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`);
});
server.listen(Number(port), host);
