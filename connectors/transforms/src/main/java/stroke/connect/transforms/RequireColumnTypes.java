package stroke.connect.transforms;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.transforms.Transformation;

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
  private static final String COLUMNS = "columns";
  private static final Pattern COLUMN = Pattern.compile("(\\w+):(\\w+)(?:\\((\\d+)\\))?");
  private static final ConfigDef SETTINGS =
      new ConfigDef()
          .define(
              COLUMNS,
              ConfigDef.Type.LIST,
              ConfigDef.NO_DEFAULT_VALUE,
              ConfigDef.Importance.HIGH,
              "Name and type of each column: id:int64,gender:string(10),age:float64.");

  private record Requirement(Schema.Type type, int length) {
    boolean takes(Schema.Type found) {
      return switch (type) {
        case INT64, INT32, INT16 -> isWhole(found) && found.ordinal() <= type.ordinal();
        case FLOAT64 -> found == Schema.Type.FLOAT32 || found == Schema.Type.FLOAT64;
        default -> found == type;
      };
    }

    private static boolean isWhole(Schema.Type found) {
      return found.ordinal() <= Schema.Type.INT64.ordinal();
    }
  }

  private final Map<String, Requirement> requirements = new TreeMap<>();

  @Override
  public void configure(Map<String, ?> settings) {
    requirements.clear();
    for (String column : new AbstractConfig(SETTINGS, settings, false).getList(COLUMNS)) {
      Matcher parts = COLUMN.matcher(column);
      if (!parts.matches()) {
        throw new ConfigException(COLUMNS, column, "is not like name:type or name:string(length)");
      }
      requirements.put(parts.group(1), requirement(column, parts));
    }
  }

  private static Requirement requirement(String column, Matcher parts) {
    try {
      Schema.Type type = Schema.Type.valueOf(parts.group(2).toUpperCase(Locale.ROOT));
      String length = parts.group(3);
      return new Requirement(type, length == null ? Integer.MAX_VALUE : Integer.parseInt(length));
    } catch (IllegalArgumentException unknown) {
      throw new ConfigException(COLUMNS, column, "names no type of Connect's");
    }
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
      Requirement required = requirements.get(field.name());
      if (required == null) {
        continue;
      }
      Schema.Type found = field.schema().type();
      if (!required.takes(found)) {
        throw new DataException(
            "column " + field.name() + " is " + found + ", but the sink needs " + required.type);
      }
      if (row.getWithoutDefault(field.name()) instanceof String text
          && text.codePointCount(0, text.length()) > required.length) {
        throw new DataException(
            "column " + field.name() + " is longer than " + required.length + " characters");
      }
    }
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
