import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import plexindex.*;

/** Each path of a list is that item: `java Job URL TOKEN FOLDER LIST`, lines `key<tab>path`. */
public class Job {
    public static void main(String[] given) throws Exception {
        Options options = new Options(Path.of(given[2])).serverUrl(given[0]).token(given[1]);
        List<String> rows = Files.readAllLines(Path.of(given[3]));
        try (Plexindex index = Plexindex.open(options)) {
            Library movies = index.library("Movies");
            for (String line : rows) {
                String[] row = line.split("\t", 2);
                Answer match = movies.match(row[1]);
                if (match.item() == null || !match.item().key().equals(row[0])) {
                    throw new AssertionError(line);
                }
            }
        }
        System.out.println(rows.size() + " paths right");
    }
}
