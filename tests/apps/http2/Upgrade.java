import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.concurrent.CompletableFuture;

/**
 * Java's own client, which offers HTTP/2 with its first request: java Upgrade.java URL KEY FIRST. FIRST is the method of
 * the first request, and `keyed` in front of it gives that one the key. Then 60 requests
 * go out, six at once, every third keyed.
 */
class Upgrade {
    public static void main(String[] args) throws Exception {
        var url = args[0];
        var key = args[1];
        var keyed = args[2].startsWith("keyed");
        var method = args[2].substring(keyed ? "keyed".length() : 0);
        var client = HttpClient.newHttpClient();
        var first = client.send(request(url + "/first", key, keyed, method), BodyHandlers.ofString());
        System.out.println("first " + first.version() + " " + first.statusCode() + " " + first.body().replaceAll("x{300000}", "sent back"));
        var all = new ArrayList<CompletableFuture<HttpResponse<String>>>();
        for (var i = 0; i < 60; i++) {
            all.add(client.sendAsync(request(url + "/" + i, key, i % 3 == 0, "GET"), BodyHandlers.ofString()));
            if (i % 6 == 5) {
                all.get(i).get(); // a machine that is overrun has the agent let connections pass
            }
        }
        var wrong = 0;
        var versions = new java.util.TreeSet<String>();
        for (var i = 0; i < all.size(); i++) {
            var answer = all.get(i).get();
            versions.add(answer.version().toString());
            if (!answer.body().startsWith(i % 3 == 0 ? "PREVIEW" : "APP")) {
                wrong++;
                System.out.println("wrong answer " + i + ": " + answer.version() + " " + answer.statusCode() + " " + answer.body());
            }
        }
        System.out.println("wrong " + wrong + " " + versions);
    }

    private static HttpRequest request(String url, String key, boolean keyed, String method) {
        var body = method.equals("POST") ? BodyPublishers.ofString("x".repeat(300_000)) : BodyPublishers.noBody();
        var request = HttpRequest.newBuilder(URI.create(url)).method(method, body);
        return (keyed ? request.header("x-byway-key", key) : request).build();
    }
}
