import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** An ordinary server of the JDK: says its name and whom it sees, and sends bodies back. */
class Server {
  private static String name;

  public static void main(String[] args) throws IOException {
    name = args[0];
    HttpServer server = HttpServer.create(new InetSocketAddress(args[1], Integer.parseInt(args[2])), 1024);
    server.createContext("/", Server::answer);
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
  }

  private static void answer(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    if (exchange.getRequestMethod().equals("GET")) {
      InetSocketAddress client = exchange.getRemoteAddress();
      String host = client.getAddress().getHostAddress();
      host = client.getAddress() instanceof Inet6Address ? "[" + host + "]" : host;
      body = (name + " " + host + ":" + client.getPort()).getBytes(StandardCharsets.UTF_8);
    }
    exchange.sendResponseHeaders(200, body.length == 0 ? -1 : body.length);
    try (var out = exchange.getResponseBody()) {
      out.write(body);
    }
  }
}
