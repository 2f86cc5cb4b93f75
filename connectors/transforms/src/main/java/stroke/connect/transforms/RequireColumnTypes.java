package stroke.connect.transforms;

import java.util.Map;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.transforms.Transformation;
import stroke.connect.transforms.ColumnTypes.ColumnType;

/**
 * Refuses change events whose columns a sink cannot take.
 *
 * <p>Neither Debezium's JDBC sink nor Iceberg's sink reports a single record that it cannot write:
 * the whole task fails, again and again. What a transformation refuses, however, Connect parks in
 * the dead-letter queue, and goes on. {@code columns} lists name and type, as in {@code
 * id:int64,gender:string(10),age:float64}: the event's own type may be narrower, a text no longer
 * than so many characters, as MySQL counts them. Columns that are not listed pass, so that new ones
 * can come.
 *
 * <p>A refusal names the column and the type, never the value.
 *
 * @param <R> the kind of record
 */
public class RequireColumnTypes<R extends ConnectRecord<R>> implements Transformation<R> {
  private static final ConfigDef SETTINGS = ColumnTypes.settings();

  private Map<String, ColumnType> requirements = Map.of();

  @Override
  public void configure(Map<String, ?> settings) {
    AbstractConfig config = new AbstractConfig(SETTINGS, settings, false);
    requirements = ColumnTypes.of(config.getList(ColumnTypes.COLUMNS));
  }

  @Override
  public R apply(R record) {
    if (record.value() instanceof Struct event && Envelope.isEnvelope(event.schema())) {
      for (String name : Envelope.ROWS) {
        Struct row = event.getStruct(name);
        if (row != null) {
          check(row);
        }
      }
    }
    return record;
  }

  private void check(Struct row) {
    for (Field field : row.schema().fields()) {
      ColumnType required = requirements.get(field.name());
      if (required == null) {
        continue;
      }
      Schema.Type found = field.schema().type();
      if (!takes(required.type(), found)) {
        throw new DataException(
            "column " + field.name() + " is " + found + ", but the sink needs " + required.type());
      }
      if (row.getWithoutDefault(field.name()) instanceof String text
          && text.codePointCount(0, text.length()) > required.length()) {
        throw new DataException(
            "column " + field.name() + " is longer than " + required.length() + " characters");
      }
    }
  }

  private static boolean takes(Schema.Type required, Schema.Type found) {
    return switch (required) {
      case INT64, INT32, INT16 -> isWhole(found) && found.ordinal() <= required.ordinal();
      case FLOAT64 -> found == Schema.Type.FLOAT32 || found == Schema.Type.FLOAT64;
      default -> found == required;
    };
  }

  private static boolean isWhole(Schema.Type found) {
    return found.ordinal() <= Schema.Type.INT64.ordinal();
  }

  @Override
  public ConfigDef config() {
    return SETTINGS;
  }

  @Override
  public void close() {
    // nothing is held open
  }
}
