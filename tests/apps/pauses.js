// A server whose answers take a while, and say something before: its arguments are its name, host and port.
const { setTimeout: pause } = require('timers/promises');
const [name, host, port] = process.argv.slice(2);
const server = require('http').createServer(async (request, response) => {
  switch (request.url) {
    case '/slow':
      await pause(3500);
      break;
    case '/hints':
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      await pause(3500);
      break;
    case '/processing':
      response.writeProcessing();
      await pause(3500);
      break;
    case '/events':
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      await pause(3500);
      break;
  }
  response.end(name);
});
server.keepAliveTimeout = 0;
server.listen(Number(port), host);
