import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.parser.StrictErrorHandler;
import ca.uhn.fhir.rest.api.MethodOutcome;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.api.ServerValidationModeEnum;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.hl7.fhir.instance.model.api.IBaseOperationOutcome;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.Device;
import org.hl7.fhir.r4.model.Parameters;
import org.hl7.fhir.r4.model.RiskAssessment;

/**
 * Java's usual HTTP clients, as they come, call a service. Argument: its address. Stdin is a JSON
 * object with a `request` of CDS Hooks and a `bundle`. Stdout says what each call was answered.
 */
class Callers {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String TYPE = "application/json";

  private interface Client {
    int call(String url, String body) throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    String base = arguments[0];
    JsonNode given = JSON.readTree(System.in);
    String request = given.get("request").toString();
    String bundle = given.get("bundle").toString();
    Map<String, Client> clients = new LinkedHashMap<>();
    // The default offers HTTP/2 with its first request: Upgrade: h2c.
    clients.put("jdk", jdk(HttpClient.newHttpClient()));
    clients.put(
        "jdk-1.1", jdk(HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()));
    clients.put("apache-4", Callers::apache4);
    clients.put("apache-5", Callers::apache5);
    for (Map.Entry<String, Client> each : clients.entrySet()) {
      Client client = each.getValue();
      List<Integer> answers = new ArrayList<>();
      // Twice: the second one uses the same connection, or an upgraded one.
      for (int round = 0; round < 2; round++) {
        answers.add(client.call(base + "/cds-services", null));
        answers.add(client.call(base + "/cds-services/stroke-risk", request));
        answers.add(client.call(base + "/fhir/metadata", null));
        answers.add(client.call(base + "/fhir/$stroke-risk", bundle));
      }
      say("client", each.getKey(), "answers", answers);
    }
    hapi(base + "/fhir", bundle);
  }

  private static Client jdk(HttpClient client) {
    return (url, body) -> {
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
      if (body != null) {
        request.header("Content-Type", TYPE).POST(HttpRequest.BodyPublishers.ofString(body));
      }
      return client.send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode();
    };
  }

  private static int apache4(String url, String body) throws Exception {
    try (var client = org.apache.http.impl.client.HttpClients.createDefault()) {
      org.apache.http.client.methods.HttpUriRequest request;
      if (body == null) {
        request = new org.apache.http.client.methods.HttpGet(url);
      } else {
        var post = new org.apache.http.client.methods.HttpPost(url);
        post.setEntity(
            new org.apache.http.entity.StringEntity(
                body, org.apache.http.entity.ContentType.APPLICATION_JSON));
        request = post;
      }
      try (var answer = client.execute(request)) {
        return answer.getStatusLine().getStatusCode();
      }
    }
  }

  private static int apache5(String url, String body) throws Exception {
    try (var client = org.apache.hc.client5.http.impl.classic.HttpClients.createDefault()) {
      var request =
          new org.apache.hc.client5.http.classic.methods.HttpUriRequestBase(
              body == null ? "GET" : "POST", URI.create(url));
      if (body != null) {
        request.setEntity(
            new org.apache.hc.core5.http.io.entity.StringEntity(
                body, org.apache.hc.core5.http.ContentType.APPLICATION_JSON));
      }
      try (var answer = client.execute(request)) {
        return answer.getCode();
      }
    }
  }

  /** HAPI's client: it asks for the CapabilityStatement first, and refuses what it does not know. */
  private static void hapi(String base, String bundle) throws Exception {
    FhirContext context = FhirContext.forR4();
    context.setParserErrorHandler(new StrictErrorHandler());
    context.getRestfulClientFactory().setServerValidationMode(ServerValidationModeEnum.ONCE);
    context.getRestfulClientFactory().setSocketTimeout(60_000);
    IGenericClient client = context.newRestfulGenericClient(base);
    CapabilityStatement able =
        client.capabilities().ofType(CapabilityStatement.class).execute();
    Parameters input = new Parameters();
    input
        .addParameter()
        .setName("resource")
        .setResource(context.newJsonParser().parseResource(Bundle.class, bundle));
    RiskAssessment made =
        client
            .operation()
            .onServer()
            .named("stroke-risk")
            .withParameters(input)
            .returnResourceType(RiskAssessment.class)
            .execute();
    RiskAssessment read =
        client.read().resource(RiskAssessment.class).withId(made.getIdElement()).execute();
    String device = read.getPerformer().getReferenceElement().getIdPart();
    Device model = client.read().resource(Device.class).withId(device).execute();
    Bundle page =
        client
            .search()
            .forResource(RiskAssessment.class)
            .where(RiskAssessment.PATIENT.hasId(read.getSubject().getReferenceElement()))
            .count(1)
            .returnBundle(Bundle.class)
            .execute();
    int found = page.getEntry().size();
    while (page.getLink(Bundle.LINK_NEXT) != null) {
      page = client.loadPage().next(page).execute();
      found += page.getEntry().size();
    }
    say(
        "client", "hapi",
        "version", able.getFhirVersion().toCode(),
        "percent", read.getPredictionFirstRep().getProbabilityDecimalType().getValue(),
        "model", model.getVersionFirstRep().getValue(),
        "method", read.getMethod().getText(),
        "found", found,
        "missing", refusal(() -> client.read().resource(RiskAssessment.class).withId("x").execute()),
        "unsupported", refusal(() -> client.create().resource(read).execute()),
        "patients", refusal(() -> client.read().resource("Patient").withId("x").execute()));
  }

  private interface Call {
    Object make();
  }

  private static List<Object> refusal(Call call) {
    try {
      Object answer = call.make();
      return List.of(answer instanceof MethodOutcome ? "created" : "answered");
    } catch (BaseServerResponseException error) {
      IBaseOperationOutcome outcome = error.getOperationOutcome();
      return List.of(error.getStatusCode(), outcome != null);
    }
  }

  private static void say(Object... pairs) throws Exception {
    Map<String, Object> said = new LinkedHashMap<>();
    for (int at = 0; at < pairs.length; at += 2) {
      said.put((String) pairs[at], pairs[at + 1]);
    }
    System.out.println(JSON.writeValueAsString(said));
  }
}
