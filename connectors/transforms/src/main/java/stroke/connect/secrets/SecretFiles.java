package stroke.connect.secrets;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.kafka.common.config.ConfigData;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.provider.ConfigProvider;

/**
 * Gives connectors what they name as {@code ${env:NAME}}: the content of the file NAME in one of
 * the {@code folders}, else the variable NAME of the environment.
 *
 * <p>A secret in the environment is shown by whatever inspects a container or lists processes; a
 * file that is mounted is not. Configurations name both alike, so that those that Connect has
 * stored stay as they are. A file is read each time a connector starts: a new password needs no new
 * worker. Only names that match {@code allowlist.pattern} are given. One line break at a file's end
 * is no part of the value.
 */
public final class SecretFiles implements ConfigProvider {
  private static final Pattern NAME = Pattern.compile("[A-Z][A-Z0-9_]*");

  private final UnaryOperator<String> environment;
  private Pattern allowed = Pattern.compile("");
  private List<Path> folders = List.of();

  /** Reads the environment of this process. */
  public SecretFiles() {
    this(System::getenv);
  }

  SecretFiles(UnaryOperator<String> environment) {
    this.environment = environment;
  }

  @Override
  public void configure(Map<String, ?> settings) {
    allowed = Pattern.compile(setting(settings, "allowlist.pattern"));
    folders = Stream.of(setting(settings, "folders").split(",")).map(String::strip).map(Path::of).toList();
  }

  private static String setting(Map<String, ?> settings, String name) {
    if (settings.get(name) instanceof String text && !text.isBlank()) {
      return text;
    }
    throw new ConfigException("the provider of secrets needs the setting " + name);
  }

  @Override
  public ConfigData get(String path) {
    throw new ConfigException("secrets are given by name: ${env:NAME}");
  }

  @Override
  public ConfigData get(String path, Set<String> names) {
    if (path != null && !path.isEmpty()) {
      throw new ConfigException("write ${env:NAME}, without a path");
    }
    Map<String, String> found = new HashMap<>();
    for (String name : names) {
      String value = value(name);
      if (value != null) {
        found.put(name, value);
      }
    }
    return new ConfigData(found);
  }

  private String value(String name) {
    if (!NAME.matcher(name).matches() || !allowed.matcher(name).matches()) {
      return null;
    }
    for (Path folder : folders) {
      Path file = folder.resolve(name);
      if (Files.isRegularFile(file)) {
        return read(file);
      }
    }
    return environment.apply(name);
  }

  private static String read(Path file) {
    try {
      String text = Files.readString(file);
      return text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    } catch (IOException error) {
      throw new UncheckedIOException("the secret " + file.getFileName() + " cannot be read", error);
    }
  }

  @Override
  public void close() {
    // There is nothing open.
  }
}
