package stroke.connect.transforms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ParkChangedColumnsTest {
  private static SourceRecord transformed(String columns, SourceRecord record) {
    ParkChangedColumns<SourceRecord> transform = new ParkChangedColumns<>();
    transform.configure(Map.of("columns", columns, "topic", "dlq.source", "connector", "source"));
    return transform.apply(record);
  }

  private static SourceRecord rowless(Schema.Type type) {
    Schema row = Events.rowOf("age", SchemaBuilder.type(type).optional().build());
    return Events.event(row, null, new Struct(row).put("id", 1L));
  }

  private static String header(SourceRecord record, String name) {
    return (String) record.headers().lastWithName("__connect.errors." + name).value();
  }

  @Test
  void anEventOfAChangedColumnBecomesALetterWithItsKeyAndWhy() {
    Schema key = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).build();
    SourceRecord event = Events.with("age", Schema.OPTIONAL_STRING_SCHEMA, "Zoë, 67");
    SourceRecord keyed =
        event.newRecord(
            "topic", 0, key, new Struct(key).put("id", 1L), event.valueSchema(), event.value(), 5L);

    SourceRecord letter = transformed("id:int64,age:float64", keyed);

    assertEquals("dlq.source", letter.topic());
    assertNull(letter.kafkaPartition());
    assertSame(keyed.key(), letter.key());
    assertSame(key, letter.keySchema());
    assertEquals(5L, letter.timestamp());
    assertEquals(Schema.STRING_SCHEMA, letter.valueSchema());
    assertEquals(
        "{\"before\":null,\"after\":{\"id\":1,\"age\":\"Zoë, 67\"},\"op\":\"u\"}", letter.value());
    assertEquals("topic", header(letter, "topic"));
    assertEquals("source", header(letter, "connector.name"));
    assertEquals("TRANSFORMATION", header(letter, "stage"));
    assertEquals("column age is STRING, was FLOAT64", header(letter, "exception.message"));
  }

  @ParameterizedTest
  @CsvSource({
    "float64, FLOAT32", "float64, INT64", "float64, STRING", "int64, INT32", "int16, INT64",
    "int16, BOOLEAN", "string(10), BYTES"
  })
  void whatAvroWritesOtherwiseIsParked(String known, Schema.Type found) {
    assertEquals("dlq.source", transformed("age:" + known, rowless(found)).topic());
  }

  @ParameterizedTest
  @CsvSource({
    "float64, FLOAT64", "int64, INT64", "int16, INT16", "int16, INT8", "int16, INT32",
    "string(10), STRING"
  })
  void whatAvroWritesAlikePasses(String known, Schema.Type found) {
    SourceRecord event = rowless(found);

    assertSame(event, transformed("age:" + known, event));
  }

  @Test
  void newColumnsHeartbeatsAndTombstonesPass() {
    for (SourceRecord record :
        new SourceRecord[] {
          Events.with("ward", Schema.STRING_SCHEMA, "a new column"),
          Events.heartbeat(),
          Events.tombstone()
        }) {
      assertSame(record, transformed("id:int64,name:string(4)", record));
    }
  }

  @Test
  void itMustBeSaidWhereLettersGo() {
    assertThrows(
        ConfigException.class,
        () -> new ParkChangedColumns<SourceRecord>().configure(Map.of("columns", "id:int64")));
  }
}
