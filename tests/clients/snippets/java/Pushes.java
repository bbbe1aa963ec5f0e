import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.Timer;
import java.util.TimerTask;
import org.json.JSONObject;

public class Pushes {
    static final String DEVICE = System.getenv("SLIPWAY_URL") + "/v1/devices/" + System.getenv("DEVICE_ID");
    static final HttpClient HTTP = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
    static final Timer TIMER = new Timer(true);
    static final Set<String> applied = new HashSet<>();
    static String lastEventId = "0";
    static long retryMs = 3000;

    public static void main(String[] args) throws InterruptedException {
        while (true) {
            try {
                receive();
            } catch (IOException error) {
                System.err.println(error);
            }
            Thread.sleep(retryMs);
        }
    }

    static void receive() throws IOException, InterruptedException {
        var request = request("/events").header("Last-Event-ID", lastEventId).build();
        var response = HTTP.send(request, BodyHandlers.ofInputStream());
        try (var stream = response.body();
                var lines = new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
            if (response.statusCode() != 200) {
                throw new IOException(response.statusCode() + " " + lines.readLine());
            }
            String id = null, data = null;
            while (true) {
                // The client has no timeout for reads. The server sends a line every 20 seconds.
                var silence = new TimerTask() {
                    @Override
                    public void run() {
                        try {
                            stream.close();
                        } catch (IOException error) {
                            System.err.println(error);
                        }
                    }
                };
                TIMER.schedule(silence, 60_000);
                var line = lines.readLine();
                silence.cancel();
                if (line == null) {
                    return;
                } else if (line.startsWith("retry: ")) {
                    retryMs = Long.parseLong(line.substring(7));
                } else if (line.startsWith("id: ")) {
                    id = line.substring(4);
                } else if (line.startsWith("data: ")) {
                    data = line.substring(6);
                } else if (line.isEmpty() && data != null) {
                    handle(new JSONObject(data));
                    lastEventId = id;
                    data = null;
                }
            }
        }
    }

    /** A push can arrive again: it is applied once, and acknowledged each time. */
    static void handle(JSONObject push) throws IOException, InterruptedException {
        var id = push.getString("push_id");
        if (applied.add(id)) {
            System.out.println("push " + push.getLong("sequence") + " " + push.getString("pack_url"));
        }
        var request = request("/pushes/" + id + "/ack")
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString("{\"state\":\"applied\"}"))
                .build();
        var response = HTTP.send(request, BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException(response.statusCode() + " " + response.body());
        }
        System.out.println("acknowledged " + response.body());
    }

    static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(DEVICE + path))
                .timeout(Duration.ofSeconds(30))
                .header("Authorization", "Bearer " + System.getenv("DEVICE_TOKEN"));
    }
}
