package stroke.connect.transforms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ParkLargeRecordsTest {
  private static SourceRecord transformed(long most, SourceRecord record) {
    ParkLargeRecords<SourceRecord> transform = new ParkLargeRecords<>();
    transform.configure(
        Map.of("max.bytes", String.valueOf(most), "topic", "dlq.source", "connector", "source"));
    return transform.apply(record);
  }

  private static SourceRecord named(String name) {
    return Events.with("name", Schema.OPTIONAL_STRING_SCHEMA, name);
  }

  private static String header(SourceRecord record, String name) {
    return (String) record.headers().lastWithName("__connect.errors." + name).value();
  }

  @Test
  void anEventThatIsTooLargeBecomesALetterWithItsKeyAndItsSizeOnly() {
    Schema key = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).build();
    SourceRecord event = named("Zoë".repeat(1000));
    SourceRecord keyed =
        event.newRecord(
            "topic", 0, key, new Struct(key).put("id", 1L), event.valueSchema(), event.value(), 5L);

    SourceRecord letter = transformed(2000, keyed);

    assertEquals("dlq.source", letter.topic());
    assertSame(keyed.key(), letter.key());
    assertEquals("topic", header(letter, "topic"));
    assertEquals("TRANSFORMATION", header(letter, "stage"));
    assertEquals(
        "org.apache.kafka.common.errors.RecordTooLargeException",
        header(letter, "exception.class.name"));
    assertTrue(header(letter, "exception.message").endsWith(" bytes, more than 2000"));
    assertTrue(((String) letter.value()).startsWith("{\"bytes\":4"));
    assertFalse(((String) letter.value()).contains("Zo"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", "ë", "漢", "🏥"})
  void theSizeIsAtLeastThatOfTheTextInUtf8(String letter) {
    String text = letter.repeat(2000);
    int bytes = text.getBytes(StandardCharsets.UTF_8).length;
    SourceRecord event = named(text);

    assertEquals("dlq.source", transformed(bytes, event).topic());
    assertSame(event, transformed(bytes + 200, event));
  }

  @Test
  void aLetterThatIsTooLargeKeepsItsHeadersAndLosesItsText() {
    SourceRecord letter =
        Letters.about(
            named("x"), "dlq.source", "source", Letters.class, RuntimeException.class, "why",
            "y".repeat(3000));

    SourceRecord small = transformed(2000, letter);

    assertEquals("why", header(small, "exception.message"));
    assertEquals("dlq.source", small.topic());
    assertTrue(((String) small.value()).startsWith("{\"bytes\":3"));
  }

  @Test
  void smallEventsHeartbeatsAndTombstonesPass() {
    for (SourceRecord record :
        new SourceRecord[] {named("Zoë"), Events.heartbeat(), Events.tombstone()}) {
      assertSame(record, transformed(1024, record));
    }
  }

  @Test
  void itMustBeSaidWhatIsTooLarge() {
    assertThrows(
        ConfigException.class,
        () ->
            new ParkLargeRecords<SourceRecord>()
                .configure(Map.of("topic", "dlq", "connector", "source")));
  }
}
