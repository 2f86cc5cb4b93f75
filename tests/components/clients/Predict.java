// The stock client of Java, as it comes: it offers an upgrade to HTTP/2 with its first request.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.io.ByteArrayInputStream;

public class Predict {
    static final String PATIENT = "{\"gender\":\"Male\",\"age\":67,\"hypertension\":0,"
        + "\"heart_disease\":1,\"avg_glucose_level\":228.69,\"bmi\":36.6,"
        + "\"smoking_status\":\"formerly smoked\",\"name\":\"Zoë Example\","
        + "\"country\":\"France\",\"province\":\"Bretagne\"}";

    public static void main(String[] arguments) throws Exception {
        URI address = URI.create(arguments[0] + "/predict");
        byte[] body = PATIENT.getBytes("UTF-8");
        for (HttpClient.Version version : HttpClient.Version.values()) {
            HttpClient client = HttpClient.newBuilder().version(version).build();
            HttpRequest.BodyPublisher[] publishers = {
                BodyPublishers.ofString(PATIENT),
                BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body)),
            };
            for (HttpRequest.BodyPublisher publisher : publishers) {
                for (boolean expect : new boolean[] {false, true}) {
                    HttpRequest request = HttpRequest.newBuilder(address)
                        .header("Content-Type", "application/json")
                        .expectContinue(expect)
                        .POST(publisher)
                        .build();
                    System.out.println(client.send(request, BodyHandlers.ofString()).statusCode());
                }
            }
        }
    }
}
