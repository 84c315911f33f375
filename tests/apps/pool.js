// A client with a pool of one connection: asks for the path on each line that it reads, with the header of its last two
// arguments, and says what it got. Its first arguments are the server's host and port.
const http = require('http');
const [host, port, name, value] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const ask = (path) => new Promise((done) => {
  const options = { agent, host, port, path, headers: { [name]: value } };
  const request = http.get(options, async (response) => {
    try {
      let body = '';
      for await (const piece of response) body += piece;
      done(body.replace(/\n/g, ' '));
    } catch (error) {
      done(`failed: ${error.code}`);
    }
  });
  request.on('error', (error) => done(`failed: ${error.code}`));
});
(async () => {
  for await (const line of require('readline').createInterface(process.stdin)) console.log(await ask(line || '/'));
})();
