package stroke.connect.transforms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RequireColumnTypesTest {
  private static RequireColumnTypes<SourceRecord> requiring(String columns) {
    RequireColumnTypes<SourceRecord> transform = new RequireColumnTypes<>();
    transform.configure(Map.of("columns", columns));
    return transform;
  }

  private static SourceRecord typed(Schema.Type type) {
    Object value =
        switch (type) {
          case INT8 -> (byte) 1;
          case INT16 -> (short) 1;
          case INT32 -> 1;
          case INT64 -> 1L;
          case FLOAT32 -> 1.0f;
          case FLOAT64 -> 1.0;
          case BOOLEAN -> true;
          default -> "secret";
        };
    return Events.with("age", org.apache.kafka.connect.data.SchemaBuilder.type(type).build(), value);
  }

  @ParameterizedTest
  @CsvSource({
    "float64, FLOAT64", "float64, FLOAT32", "int64, INT64", "int64, INT16", "int16, INT8",
    "string, STRING", "boolean, BOOLEAN"
  })
  void aColumnOfThatTypeOrANarrowerOnePasses(String required, Schema.Type found) {
    SourceRecord record = typed(found);

    assertSame(record, requiring("id:int64,age:" + required).apply(record));
  }

  @ParameterizedTest
  @CsvSource({
    "float64, STRING", "float64, INT64", "int64, FLOAT64", "int16, INT32", "string, FLOAT64",
    "int16, BOOLEAN"
  })
  void aColumnOfAnotherTypeIsRefusedByNameAndType(String required, Schema.Type found) {
    DataException refusal =
        assertThrows(
            DataException.class, () -> requiring("age:" + required).apply(typed(found)));

    assertEquals(
        "column age is " + found + ", but the sink needs " + required.toUpperCase(),
        refusal.getMessage());
  }

  @Test
  void aTextIsMeasuredInCharactersAsMySqlDoes() {
    RequireColumnTypes<SourceRecord> transform = requiring("gender:string(4)");
    SourceRecord fits = Events.with("gender", Schema.STRING_SCHEMA, "\uD83D\uDE00abc");
    SourceRecord tooLong = Events.with("gender", Schema.STRING_SCHEMA, "\uD83D\uDE00abcd");

    assertSame(fits, transform.apply(fits));
    DataException refusal =
        assertThrows(DataException.class, () -> transform.apply(tooLong));
    assertEquals("column gender is longer than 4 characters", refusal.getMessage());
  }

  @Test
  void theRowBeforeTheChangeCountsToo() {
    Schema row = Events.rowOf("gender", Schema.STRING_SCHEMA);
    Struct before = new Struct(row).put("id", 1L).put("gender", "too long");
    SourceRecord deletion = Events.event(row, before, null);

    assertThrows(
        DataException.class, () -> requiring("gender:string(4)").apply(deletion));
  }

  @Test
  void newColumnsNullsHeartbeatsAndTombstonesPass() {
    RequireColumnTypes<SourceRecord> transform = requiring("id:int64,name:string(4)");

    for (SourceRecord record :
        new SourceRecord[] {
          Events.with("ward", Schema.STRING_SCHEMA, "a new column"),
          Events.with("name", Schema.OPTIONAL_STRING_SCHEMA, null),
          Events.heartbeat(),
          Events.tombstone()
        }) {
      assertSame(record, transform.apply(record));
    }
  }

  @ParameterizedTest
  @CsvSource({"age", "age:number", "age:string(x)"})
  void aListThatCannotBeReadIsRefused(String columns) {
    assertThrows(ConfigException.class, () -> requiring(columns));
  }
}
