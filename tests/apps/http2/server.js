// A server on Node's own HTTP/2, without TLS: node server.js NAME ADDRESS PORT
const http2 = require('node:http2');
const [name, address, port] = process.argv.slice(2);
const paths = {
  '/': stream => stream.end(name),
  // As many bytes as the query says.
  '/bytes': (stream, query) => stream.end(Buffer.alloc(Number(query), 7)),
  // How many bytes came.
  '/count': stream => {
    let count = 0;
    stream.on('data', bytes => { count += bytes.length; }).on('end', () => stream.end(`${name} ${count}`));
  },
  '/echo': stream => stream.pipe(stream),
};
const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const [path, query] = headers[':path'].split('?');
  stream.on('error', () => {}); // a client that gave up is no news
  stream.respond({ ':status': 200 });
  paths[path](stream, query);
});
server.listen(Number(port), address);
