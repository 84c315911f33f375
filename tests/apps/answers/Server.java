import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** What an application on Java's own server can say: java Server.java ADDRESS PORT */
class Server {
    public static void main(String[] args) throws IOException {
        var address = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
        var server = HttpServer.create(address, 0);
        server.createContext("/", Server::answer);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }

    private static void answer(HttpExchange exchange) throws IOException {
        var head = exchange.getResponseHeaders();
        var status = 200;
        var length = 5;
        switch (exchange.getRequestURI().getPath()) {
            case "/the-length-twice" -> head.add("Content-length", "5");
            case "/both-lengths" -> {
                head.add("Content-Length", "5");
                length = 0; // in chunks
            }
            case "/chunked-twice" -> {
                head.add("Transfer-encoding", "chunked");
                length = 0;
            }
            case "/204-in-chunks" -> {
                head.add("Transfer-encoding", "chunked");
                status = 204;
                length = -1;
            }
            case "/140-cookies" -> {
                for (var i = 0; i < 140; i++) {
                    head.add("Set-Cookie", "cookie-" + i + "=value");
                }
            }
            case "/a-head-of-70-KiB" -> head.add("X-Long", "a".repeat(70 << 10));
            default -> {}
        }
        exchange.sendResponseHeaders(status, length);
        if (length >= 0) {
            exchange.getResponseBody().write("hello".getBytes());
        }
        exchange.close();
    }
}
