import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.rest.api.server.cdshooks.CdsServiceRequestContextJson;
import ca.uhn.fhir.rest.api.server.cdshooks.CdsServiceRequestJson;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import ca.uhn.hapi.fhir.cdshooks.api.json.CdsServiceJson;
import ca.uhn.hapi.fhir.cdshooks.api.json.CdsServiceResponseCardJson;
import ca.uhn.hapi.fhir.cdshooks.api.json.CdsServiceResponseJson;
import ca.uhn.hapi.fhir.cdshooks.api.json.CdsServicesJson;
import ca.uhn.hapi.fhir.cdshooks.module.CdsHooksObjectMapperFactory;
import ca.uhn.hapi.fhir.cdshooks.svc.prefetch.PrefetchTemplateUtil;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.OperationOutcome;

/**
 * A client of CDS Hooks out of HAPI's own parts: it asks what the service wants, gets that from a
 * FHIR server, signs a token for each call, stores a card's suggestion on that server, and reports
 * what became of the card.
 *
 * <p>Stdin is a JSON object: `service` and `record` (addresses), `audience`, `issuer`, `key` (a
 * private JWK), `patients` (ids), `prefetch` (whether it sends what is asked for), `override` (a
 * reason to override cards for, else they are accepted). Each line of stdout is about one patient.
 */
class Clinician {
  private final HttpClient http = HttpClient.newHttpClient();
  private final FhirContext context = FhirContext.forR4();
  private final ObjectMapper json = new CdsHooksObjectMapperFactory(context).newMapper();
  private final IParser parser = context.newJsonParser();
  private final JsonNode given;
  private final ECKey key;
  private final IGenericClient record;

  Clinician(JsonNode given) throws Exception {
    this.given = given;
    key = ECKey.parse(given.get("key").toString());
    context.getRestfulClientFactory().setSocketTimeout(60_000);
    record = context.newRestfulGenericClient(text("record"));
  }

  public static void main(String[] arguments) throws Exception {
    Clinician clinician = new Clinician(new ObjectMapper().readTree(System.in));
    CdsServiceJson service = clinician.discover();
    for (JsonNode each : clinician.given.get("patients")) {
      System.out.println(
          new ObjectMapper().writeValueAsString(clinician.look(service, each.asText())));
    }
  }

  private String text(String name) {
    return given.get(name).asText();
  }

  private String token(String path) throws Exception {
    Instant now = Instant.now();
    SignedJWT token =
        new SignedJWT(
            new JWSHeader.Builder(JWSAlgorithm.ES384)
                .type(JOSEObjectType.JWT)
                .keyID(key.getKeyID())
                .build(),
            new JWTClaimsSet.Builder()
                .issuer(text("issuer"))
                .audience(text("audience") + path)
                .issueTime(Date.from(now))
                .expirationTime(Date.from(now.plusSeconds(300)))
                .jwtID(UUID.randomUUID().toString())
                .build());
    token.sign(new ECDSASigner(key));
    return token.serialize();
  }

  private HttpResponse<String> send(String path, String body) throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(text("service") + path))
            .header("Authorization", "Bearer " + token(path))
            .header("Content-Type", "application/json");
    if (body != null) {
      request.POST(HttpRequest.BodyPublishers.ofString(body));
    }
    return http.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private CdsServiceJson discover() throws Exception {
    HttpResponse<String> answer = send("/cds-services", null);
    if (answer.statusCode() != 200) {
      throw new IllegalStateException("discovery: " + answer.statusCode() + " " + answer.body());
    }
    return json.readValue(answer.body(), CdsServicesJson.class).getServices().get(0);
  }

  private Map<String, Object> look(CdsServiceJson service, String patient) throws Exception {
    Map<String, Object> seen = new LinkedHashMap<>();
    seen.put("patient", patient);
    CdsServiceRequestContextJson about = new CdsServiceRequestContextJson();
    about.put("patientId", patient);
    about.put("userId", "Practitioner/doctor");
    CdsServiceRequestJson request =
        new CdsServiceRequestJson()
            .setHook(service.getHook())
            .setHookInstance(UUID.randomUUID().toString())
            .setFhirServer(text("record"))
            .setContext(about);
    if (given.get("prefetch").asBoolean()) {
      seen.put("not_found", prefetch(service, request, about));
    }
    String path = "/cds-services/" + service.getId();
    long began = System.nanoTime();
    HttpResponse<String> answer = send(path, authorized(json.writeValueAsString(request)));
    seen.put("milliseconds", (System.nanoTime() - began) / 1_000_000);
    seen.put("status", answer.statusCode());
    if (answer.statusCode() != 200) {
      OperationOutcome outcome = parser.parseResource(OperationOutcome.class, answer.body());
      seen.put("said", outcome.getIssue().stream().map(each -> each.getDetails().getText()).toList());
      return seen;
    }
    List<Object> cards = new ArrayList<>();
    for (CdsServiceResponseCardJson card :
        json.readValue(answer.body(), CdsServiceResponseJson.class).getCards()) {
      cards.add(handle(path, card));
    }
    seen.put("cards", cards);
    return seen;
  }

  /** HAPI's class writes no fhirAuthorization that is complete: it is put into the JSON. */
  private String authorized(String request) throws Exception {
    if (!given.has("authorization")) {
      return request;
    }
    var tree = (com.fasterxml.jackson.databind.node.ObjectNode) new ObjectMapper().readTree(request);
    tree.set("fhirAuthorization", given.get("authorization"));
    return tree.toString();
  }

  private List<String> prefetch(
      CdsServiceJson service, CdsServiceRequestJson request, CdsServiceRequestContextJson about) {
    List<String> missing = new ArrayList<>();
    for (Map.Entry<String, String> each : service.getPrefetch().entrySet()) {
      // byUrl takes no bar as it is.
      String url =
          PrefetchTemplateUtil.substituteTemplate(each.getValue(), about, context)
              .replace("|", "%7C");
      try {
        request.addPrefetch(each.getKey(), read(url));
      } catch (BaseServerResponseException error) {
        missing.add(each.getKey());
      }
    }
    return missing;
  }

  private IBaseResource read(String url) {
    if (url.contains("?")) {
      return record.search().byUrl(url).returnBundle(Bundle.class).execute();
    }
    String[] parts = url.split("/");
    return record.read().resource(parts[0]).withId(parts[1]).execute();
  }

  private Map<String, Object> handle(String path, CdsServiceResponseCardJson card)
      throws Exception {
    Map<String, Object> seen = new LinkedHashMap<>();
    seen.put("uuid", card.getUuid());
    seen.put("summary", card.getSummary());
    seen.put("indicator", card.getIndicator() == null ? null : card.getIndicator().toString());
    seen.put("source", card.getSource().getLabel());
    if (card.getSuggestions() == null || card.getSuggestions().isEmpty()) {
      return seen;
    }
    var suggestion = card.getSuggestions().get(0);
    Map<String, Object> said = new LinkedHashMap<>();
    said.put("card", card.getUuid());
    said.put("outcomeTimestamp", Instant.now().toString());
    if (given.has("override")) {
      said.put("outcome", "overridden");
      said.put(
          "overrideReason",
          Map.of("reason", Map.of("code", text("override")), "userComment", text("comment")));
    } else {
      IBaseResource resource = suggestion.getActions().get(0).getResource();
      seen.put(
          "stored",
          record.create().resource(resource).execute().getId().toUnqualifiedVersionless().getValue());
      said.put("outcome", "accepted");
      said.put("acceptedSuggestions", List.of(Map.of("id", suggestion.getUuid())));
    }
    String body = new ObjectMapper().writeValueAsString(Map.of("feedback", List.of(said)));
    seen.put("feedback", send(path + "/feedback", body).statusCode());
    return seen;
  }
}
