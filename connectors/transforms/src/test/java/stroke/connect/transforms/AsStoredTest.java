package stroke.connect.transforms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.List;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.jupiter.api.Test;

class AsStoredTest {
  private static final Schema ROW =
      SchemaBuilder.struct()
          .name("server.database.predictions.Value")
          .optional()
          .field("id", Schema.INT64_SCHEMA)
          .field(
              "timestamp",
              SchemaBuilder.int64()
                  .optional()
                  .defaultValue(0L)
                  .name("io.debezium.time.MicroTimestamp")
                  .version(1)
                  .build())
          .field("hypertension", Schema.OPTIONAL_BOOLEAN_SCHEMA)
          .field("age", Schema.OPTIONAL_FLOAT64_SCHEMA)
          .build();
  private static final Schema ENVELOPE =
      SchemaBuilder.struct()
          .name("server.database.predictions.Envelope")
          .version(2)
          .field("before", ROW)
          .field("after", ROW)
          .field("op", Schema.STRING_SCHEMA)
          .build();

  private final AsStored<SourceRecord> transform = new AsStored<>();

  private static SourceRecord recordOf(Schema schema, Object value) {
    return new SourceRecord(null, null, "topic", 0, schema, value);
  }

  private Struct transformed(Struct row) {
    Struct event = new Struct(ENVELOPE).put("after", row).put("op", "c");
    return (Struct) transform.apply(recordOf(ENVELOPE, event)).value();
  }

  @Test
  void aNullStaysNullWhereTheColumnHasADefault() {
    Struct event = transformed(new Struct(ROW).put("id", 1L));

    assertNull(event.getStruct("after").get("timestamp"));
    assertNull(event.getStruct("after").schema().field("timestamp").schema().defaultValue());
  }

  @Test
  void aFlagIsANumberHoweverTheTableWasRead() {
    Struct row = transformed(new Struct(ROW).put("id", 1L).put("hypertension", true));

    assertEquals((short) 1, row.getStruct("after").get("hypertension"));
    assertNull(transformed(new Struct(ROW).put("id", 1L)).getStruct("after").get("hypertension"));
  }

  @Test
  void columnsThatConsistOfPartsKeepThem() {
    Schema geometry =
        SchemaBuilder.struct()
            .name("io.debezium.data.geometry.Geometry")
            .optional()
            .field("wkb", Schema.BYTES_SCHEMA)
            .field("srid", Schema.OPTIONAL_INT32_SCHEMA)
            .build();
    Schema vector = SchemaBuilder.array(Schema.FLOAT32_SCHEMA).optional().build();
    Schema row =
        SchemaBuilder.struct()
            .optional()
            .field("id", Schema.INT64_SCHEMA)
            .field("place", geometry)
            .field("embedding", vector)
            .build();
    Schema envelope =
        SchemaBuilder.struct()
            .field("before", row)
            .field("after", row)
            .field("op", Schema.STRING_SCHEMA)
            .build();
    byte[] point = {1, 2, 3};
    Struct full =
        new Struct(row)
            .put("id", 1L)
            .put("place", new Struct(geometry).put("wkb", point).put("srid", 4326))
            .put("embedding", List.of(1.5f, -2f));
    Struct empty = new Struct(row).put("id", 2L);

    Struct event = new Struct(envelope).put("after", full).put("op", "c");
    Struct after =
        ((Struct) transform.apply(recordOf(envelope, event)).value()).getStruct("after");

    assertSame(point, after.getStruct("place").get("wkb"));
    assertEquals(4326, after.getStruct("place").get("srid"));
    assertEquals(List.of(1.5f, -2f), after.getArray("embedding"));
    after.validate();
    Struct none = new Struct(envelope).put("after", empty).put("op", "c");
    assertNull(
        ((Struct) transform.apply(recordOf(envelope, none)).value())
            .getStruct("after")
            .get("place"));
  }

  @Test
  void onlyTheKeyMustHaveAValueSoThatNewRulesNeverRefuseOldRows() {
    Schema key = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).build();
    Schema row =
        SchemaBuilder.struct()
            .optional()
            .field("id", Schema.INT64_SCHEMA)
            .field("bed", SchemaBuilder.int32().defaultValue(3).build())
            .build();
    Schema envelope =
        SchemaBuilder.struct()
            .field("before", row)
            .field("after", row)
            .field("op", Schema.STRING_SCHEMA)
            .build();
    Struct event =
        new Struct(envelope).put("after", new Struct(row).put("id", 1L).put("bed", 7)).put("op", "c");

    SourceRecord keyed =
        new SourceRecord(
            null, null, "topic", 0, key, new Struct(key).put("id", 1L), envelope, event);
    Struct after = ((Struct) transform.apply(keyed).value()).getStruct("after");

    assertEquals(7, after.get("bed"));
    assertEquals(Schema.OPTIONAL_INT32_SCHEMA, after.schema().field("bed").schema());
    assertEquals(Schema.INT64_SCHEMA, after.schema().field("id").schema());
  }

  @Test
  void everythingElseStaysAsItWas() {
    Struct row = new Struct(ROW).put("id", 7L).put("timestamp", 12L).put("age", 0.1);

    Struct event = transformed(row);

    assertEquals("c", event.get("op"));
    assertNull(event.get("before"));
    Struct after = event.getStruct("after");
    assertEquals(7L, after.get("id"));
    assertEquals(12L, after.get("timestamp"));
    assertEquals(0.1, after.get("age"));
    assertEquals(ENVELOPE.name(), event.schema().name());
    assertEquals(ENVELOPE.version(), event.schema().version());
    assertEquals(
        "io.debezium.time.MicroTimestamp", after.schema().field("timestamp").schema().name());
    assertEquals(ROW.name(), after.schema().name());
  }

  @Test
  void theSchemaIsMadeOnce() {
    Schema first = transformed(new Struct(ROW).put("id", 1L)).schema();
    Schema second = transformed(new Struct(ROW).put("id", 2L)).schema();

    assertSame(first, second);
  }

  @Test
  void heartbeatsAndTombstonesPass() {
    Schema heartbeat = SchemaBuilder.struct().field("ts_ms", Schema.INT64_SCHEMA).build();
    SourceRecord beat = recordOf(heartbeat, new Struct(heartbeat).put("ts_ms", 1L));
    SourceRecord tombstone = recordOf(null, null);

    assertSame(beat, transform.apply(beat));
    assertSame(tombstone, transform.apply(tombstone));
  }
}
