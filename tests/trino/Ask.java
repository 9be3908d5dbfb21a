import io.trino.Session;
import io.trino.plugin.memory.MemoryPlugin;
import io.trino.testing.MaterializedResult;
import io.trino.testing.MaterializedRow;
import io.trino.testing.StandaloneQueryRunner;
import io.trino.testing.TestingSession;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.StringJoiner;

/** Runs the statements of one file in Trino, and writes what each query answers into another. */
public class Ask
{
    private static final String BETWEEN = "\n;;\n";

    public static void main(String[] arguments)
            throws Exception
    {
        Session session = TestingSession.testSessionBuilder().setCatalog("memory").setSchema("default").build();
        try (StandaloneQueryRunner trino = new StandaloneQueryRunner(session)) {
            trino.installPlugin(new MemoryPlugin());
            trino.createCatalog("memory", "memory", Map.of());
            StringJoiner answers = new StringJoiner(BETWEEN);
            for (String statement : Files.readString(Path.of(arguments[0])).split(BETWEEN)) {
                MaterializedResult result = trino.execute(session, statement);
                if (statement.startsWith("SELECT")) {
                    answers.add(written(result));
                }
            }
            Files.writeString(Path.of(arguments[1]), answers.toString());
        }
        System.exit(0);
    }

    /** A line of names, a line of types, and a line for each row; tabs between, \N for null. */
    private static String written(MaterializedResult result)
    {
        StringJoiner lines = new StringJoiner("\n");
        lines.add(String.join("\t", result.getColumnNames()));
        lines.add(String.join("\t", result.getTypes().stream().map(Object::toString).toList()));
        for (MaterializedRow row : result.getMaterializedRows()) {
            StringJoiner fields = new StringJoiner("\t");
            row.getFields().forEach(field -> fields.add(field == null ? "\\N" : field.toString()));
            lines.add(fields.toString());
        }
        return lines.toString();
    }
}
