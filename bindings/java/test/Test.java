// Whether the declarations have the layout of docs/abi.txt, and whether the program does what it says.
import com.sun.jna.Structure;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

public class Test {
    static int failed;

    static void check(String what, boolean holds) {
        System.out.println((holds ? "PASS: " : "FAIL: ") + what);
        if (!holds) failed++;
    }

    static TreeSet<String> layout() throws Exception {
        Method offset = Structure.class.getDeclaredMethod("fieldOffset", String.class);
        offset.setAccessible(true);
        TreeSet<String> lines = new TreeSet<>();
        for (Class<?> type : Plexindex.class.getDeclaredClasses()) {
            if (!Structure.class.isAssignableFrom(type)) continue;
            Structure one = (Structure) type.getDeclaredConstructor().newInstance();
            for (var field : type.getDeclaredFields())
                lines.add(one.size() + " " + type.getSimpleName() + "." + field.getName() + " " + offset.invoke(one, field.getName()));
        }
        return lines;
    }

    static TreeSet<String> recorded() throws Exception {
        TreeSet<String> lines = new TreeSet<>();
        String size = "";
        for (String line : Files.readAllLines(Path.of("../../docs/abi.txt"))) {
            String[] words = line.trim().split(" +");
            if (line.startsWith("struct ")) size = words[2];
            if (!line.startsWith("    ")) continue;
            String[] names = words[2].split("\\.");
            String type = Arrays.stream(names[0].split("_")).skip(1)
                .map(part -> part.substring(0, 1).toUpperCase() + part.substring(1)).collect(Collectors.joining());
            lines.add(size + " " + type + "." + names[1] + " " + words[0]);
        }
        return lines;
    }

    record Done(int code, String printed, String said) { }

    static Done run(String library, String file) throws Exception {
        Path folder = Files.createTempDirectory("plexindex-java-");
        Process process = new ProcessBuilder("java", "-cp", System.getProperty("java.class.path"), "Match",
            System.getenv("PLEXINDEX_TEST_URL"), System.getenv("PLEXINDEX_TEST_TOKEN"), folder.toString(), library, file).start();
        String printed = new String(process.getInputStream().readAllBytes(), "UTF-8");
        String said = new String(process.getErrorStream().readAllBytes(), "UTF-8");
        int code = process.waitFor();
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(one -> one.toFile().delete());
        }
        return new Done(code, printed, said);
    }

    public static void main(String[] given) throws Exception {
        TreeSet<String> here = layout(), there = recorded();
        check("structs have the layout of docs/abi.txt", here.equals(there) && here.size() > 100);
        if (!here.equals(there)) System.out.println(here + "\n" + there);
        List<String> facts = Files.readAllLines(Path.of(System.getenv("PLEXINDEX_TEST_LINES")));
        String[] movie = facts.stream().filter(line -> line.startsWith("movie")).findFirst().get().split("\t");
        Done found = run("Movies", movie[3]);
        check("a file is found", found.code == 0 && found.printed.equals(movie[1] + "\n"));
        String repeated = facts.stream().filter(line -> line.startsWith("repeated")).findFirst().get().split("\t")[1];
        found = run("Movies", "/somewhere/else/" + repeated);
        check("candidates", found.code == 0 && found.printed.endsWith("AMBIGUOUS\n") && found.printed.lines().count() > 2);
        found = run("None 7", movie[3]);
        check("an error", found.code == 1 && found.printed.equals("LIBRARY_NOT_FOUND\n") && found.said.contains("'None 7'"));
        System.exit(failed);
    }
}
