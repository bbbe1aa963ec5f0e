import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Collectors;

public class Check {
    public static void main(String[] args) throws Exception {
        var query = Map.of(
                "package_name", "com.freshmart.handheld",
                "version_code", "121",
                "device_id", System.getenv("DEVICE_ID"),
                "old_versions", "{\"com.freshmart.handheld.labels\":7}",
                "org_info", "{\"l3Code\":\"8007\"}");
        var text = query.entrySet().stream()
                .map(field -> field.getKey() + "=" + URLEncoder.encode(field.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
        var request = HttpRequest.newBuilder(URI.create(System.getenv("SLIPWAY_URL") + "/v1/check?" + text))
                .timeout(Duration.ofSeconds(30))
                .header("Authorization", "Bearer " + System.getenv("DEVICE_TOKEN"));
        var etag = Path.of("check.etag");
        if (Files.exists(etag)) {
            request.header("If-None-Match", Files.readString(etag));
        }
        var response = HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofString());
        switch (response.statusCode()) {
            case 304 -> System.out.println("304 the offers are unchanged");
            case 200 -> {
                System.out.println("200 " + response.body());
                // Stored last, so that offers that were not handled are returned again.
                Files.writeString(etag, response.headers().firstValue("ETag").orElseThrow());
            }
            default -> throw new IOException(response.statusCode() + " " + response.body());
        }
    }
}
