// The layout of the declarations, and the classes over them.
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import plexindex.*;

public class Test {
    static int failed;
    static final String URL = System.getenv("PLEXINDEX_TEST_URL"), SLOW = System.getenv("PLEXINDEX_TEST_SLOW_URL");

    static void check(String what, boolean holds) {
        System.out.println((holds ? "PASS: " : "FAIL: ") + what);
        if (!holds) failed++;
    }

    static TreeSet<String> layout() throws Exception {
        Method offset = Structure.class.getDeclaredMethod("fieldOffset", String.class);
        offset.setAccessible(true);
        TreeSet<String> lines = new TreeSet<>();
        for (Class<?> type : Abi.class.getDeclaredClasses()) {
            if (!Structure.class.isAssignableFrom(type)) continue;
            Structure one = (Structure) type.getDeclaredConstructor().newInstance();
            for (var field : type.getDeclaredFields())
                lines.add(one.size() + " " + type.getSimpleName() + "." + field.getName() + " " + offset.invoke(one, field.getName()));
        }
        return lines;
    }

    static TreeSet<String> recorded(Path abi) throws IOException {
        TreeSet<String> lines = new TreeSet<>();
        String size = "";
        for (String line : Files.readAllLines(abi)) {
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

    static void remove(Path folder) throws IOException {
        List<Path> all;
        try (Stream<Path> files = Files.walk(folder)) {
            all = files.sorted(Comparator.reverseOrder()).collect(Collectors.toList());
        }
        for (Path one : all) Files.deleteIfExists(one);
    }

    static RuntimeException thrown(Supplier<?> call) {
        try {
            call.get();
            return null;
        } catch (RuntimeException error) {
            return error;
        }
    }

    static String code(Supplier<?> call) {
        PlexindexException error = (PlexindexException) thrown(call);
        return error == null ? "none" : error.status() + ": " + error.getMessage();
    }

    static void questions(Path folder, List<String[]> facts) throws Exception {
        String[] movie = facts.stream().filter(line -> line[0].equals("movie")).findFirst().get();
        String[] repeated = facts.stream().filter(line -> line[0].equals("repeated")).findFirst().get();
        String token = System.getenv("PLEXINDEX_TEST_TOKEN");
        Options options = new Options(folder.resolve("one")).serverUrl(URL).token(token).mapping("/here", "/nowhere");
        Plexindex index = Plexindex.open(options);
        Library movies = index.library("Movies");
        check("nothing is at hand at first", movies.lookupKey(movie[3]) == null);
        Answer found = movies.match(movie[3]);
        check("a file is found", found.status() == Status.OK && found.item().key().equals(movie[1])
            && found.item().title().equals(movie[2]) && found.confidence() == Confidence.HIGH && found.item().kind() == Kind.MOVIE
            && !found.item().keyOnly());
        check("its key is at hand", movie[1].equals(movies.lookupKey(movie[3])) && movies.lookupKey("a\0b") == null);
        List<String> paths = new ArrayList<>(List.of("/nowhere/x.mkv"));
        facts.stream().filter(line -> line[0].equals("movie")).forEach(line -> paths.add(line[3]));
        List<Answer> all = movies.matchAll(paths);
        check("many files", all.size() == paths.size() && all.get(0).reason() == Reason.NO_LOCATION && all.get(1).item().equals(found.item()));
        Answer several = movies.match("/somewhere/else/" + repeated[1]);
        check("candidates", several.status() == Status.AMBIGUOUS && several.item() == null && several.candidates().size() > 1);
        movies.recordMatch("/own/ä.mkv", movie[1]);
        check("a recorded match", movies.match("/own/ä.mkv").matchKind() == MatchKind.CONFIRMED);
        byte[] latin = "/own/ä.mkv".getBytes(StandardCharsets.ISO_8859_1);
        movies.recordMatch(latin, movie[1]);
        check("a path that is no UTF-8", movie[1].equals(movies.lookupKey(latin)) && movies.match(latin, new Query()).matchKind() == MatchKind.CONFIRMED
            && movies.match("/own/\ufffd.mkv").status() == Status.NOT_FOUND);
        movies.invalidatePath(latin);
        check("and is invalidated", movies.lookupKey(latin) == null);
        movies.invalidatePath("/own/ä.mkv");
        check("an invalidated one", movies.match("/own/ä.mkv").status() == Status.NOT_FOUND);
        check("an error", code(() -> index.library("None 7").match("/x")).startsWith("LIBRARY_NOT_FOUND: ")
            && code(() -> index.library("None 7").match("/x")).contains("'None 7'"));
        check("each thread has its own error", IntStream.range(0, 8).parallel().allMatch(number ->
            code(() -> index.library("None " + number).match("/x")).contains("'None " + number + "'")));
        index.close();
        index.close();
        check("a closed index", code(() -> movies.lookupKey(movie[3])).startsWith("CLOSED: ") && code(() -> movies.match("/x")).startsWith("CLOSED: "));
        progress(new Options(folder.resolve("slow")).serverUrl(SLOW).token(token).pageSize(25));
        waiting(new Options(folder.resolve("two")).serverUrl(SLOW).token(token).pageSize(25));
    }

    /** What a progress function returns or throws ends its call, and only that. */
    static void progress(Options options) {
        try (Plexindex index = Plexindex.open(options)) {
            Library movies = index.library("Movies");
            List<Progress> reports = new ArrayList<>();
            String stopped = code(() -> movies.refresh(new Query().progress(one -> {
                reports.add(one);
                return one.items() == 0;
            })));
            Progress last = reports.get(reports.size() - 1);
            check("a progress function ends its call", stopped.startsWith("ABORTED: ") && last.library().equals("Movies") && last.items() > 0
                && last.total() == 1500 && !last.elapsed().isNegative());
            RuntimeException mine = new RuntimeException("mine");
            check("what it throws comes out", thrown(() -> movies.refresh(new Query().progress(one -> { throw mine; }))) == mine);
            AtomicReference<String> inside = new AtomicReference<>("");
            Answer answer = movies.match("/x", new Query().progress(one -> {
                System.gc();
                inside.set(code(() -> movies.match("/y", new Query().offline().progress(other -> false)).status()) + closed(index));
                return true;
            }));
            check("it may ask, but not close", answer.status() == Status.NOT_FOUND && inside.get().contains("INVALID_ARGUMENT: a call of this index"));
            check("full and check are for refresh()", movies.refresh(new Query().full()) && movies.refresh(new Query().check())
                && code(() -> movies.match("/x", new Query().full())).equals("INVALID_ARGUMENT: full() and check() are for refresh()"));
        }
    }

    /** Options reach the library, and a new token comes from the function. */
    static void options(Path folder, String path) {
        String token = System.getenv("PLEXINDEX_TEST_TOKEN");
        Options given = new Options(folder).serverUrl(URL).token("old").user("me").maxAge(Duration.ofDays(1)).connectTimeout(Duration.ofSeconds(5))
            .readTimeout(Duration.ofSeconds(9)).slow(Duration.ofNanos(1)).matchesLimit(1 << 20).sizeLimit(1L << 33).logLevel(LogLevel.INFO)
            .sharedRetry(Duration.ZERO).sharedDurable().obfuscatePaths().noMmap().acceptInvalidCerts()
            .mapping(MappingKind.HOST_PATTERN, "^/mine(/.*)$", "/nowhere\\1").mapping(MappingKind.SERVER_PREFIX, "/theirs", "/mine");
        try (Plexindex index = Plexindex.open(given.renewToken(() -> { throw new IllegalStateException("no login"); }))) {
            Library movies = index.library("Movies");
            check("offline", code(() -> movies.match(path, new Query().offline())).startsWith("OFFLINE: "));
            PlexindexException refused = (PlexindexException) thrown(() -> movies.match(path));
            check("what a token function throws is the cause", refused.status() == Status.UNAUTHORIZED
                && refused.getCause() instanceof IllegalStateException && refused.getCause().getMessage().equals("no login"));
            check("and the size of the folder", stats(index).size_limit == 1L << 33);
        }
        for (String wrong : List.of("a\nb", "ä", "x".repeat(65537))) {
            try (Plexindex index = Plexindex.open(given.renewToken(() -> wrong))) {
                Throwable cause = thrown(() -> index.library("Movies").match(path)).getCause();
                check("a wrong token is the cause", cause instanceof PlexindexException && cause.getMessage().startsWith("renewToken returned "));
            }
        }
        try (Plexindex index = Plexindex.open(given.renewToken(() -> token))) {
            System.gc();
            check("a new token", index.library("Movies").match(path).status() == Status.OK);
            check("log lines", Plexindex.drainLog().stream().anyMatch(line -> line.level() == LogLevel.INFO && line.message().contains("Movies"))
                && Plexindex.drainLog().isEmpty());
        }
        check("a bad pattern", code(() -> Plexindex.open(new Options(folder).mapping(MappingKind.HOST_PATTERN, "(", "x"))).startsWith("INVALID_ARGUMENT: "));
        check("logging is quiet again", code(() -> {
            Plexindex.open(new Options(folder).logLevel(LogLevel.WARN)).close();
            return "";
        }).equals("none"));
    }

    /** Methods by their names: answers, statuses, errors, and what ends one that waits. */
    static void methods(Path folder, List<String[]> facts) throws Exception {
        String[] movie = facts.get(0), show = facts.stream().filter(line -> line[0].equals("show")).findFirst().get();
        Plexindex index = Plexindex.open(new Options(folder).serverUrl(URL).token(System.getenv("PLEXINDEX_TEST_TOKEN")));
        Library movies = index.library("Movies");
        check("the name of a library", (movies + ", " + index.library()).equals("library Movies, all libraries"));
        check("a method of one that was never fetched", code(() -> index.call("items.list", "{\"library\":\"Movies\"}")).startsWith("NOT_FETCHED: "));
        index.library().refresh();
        Reply reply = index.call("match.folder", "{\"path\":\"" + show[1] + "\"}");
        check("a folder", reply.status() == Status.OK && reply.json().contains("\"title\":\"" + show[2] + "\""));
        check("nothing", index.call("items.get", "{\"key\":\"999999\"}").equals(new Reply(Status.NOT_FOUND, "{}")));
        check("an unknown method", code(() -> index.call("items.lst", "{}")).startsWith("INVALID_ARGUMENT: this version has no method 'items.lst'"));
        check("an unknown field", code(() -> index.call("items.get", "{\"kye\":1}")).contains("unknown field `kye`"));
        check("a flag of another call", code(() -> index.call("libraries.list", "", new Query().offline())).startsWith("INVALID_ARGUMENT: offline()"));
        PlexindexException failure = (PlexindexException) thrown(() -> index.call("edit", "{\"library\":\"Movies\",\"keys\":[\"" + movie[1] + "\",\"999999\"],\"changes\":[{\"field\":\"title\",\"set\":\"A\"}]}"));
        check("an error with an answer", failure.status() == Status.NOT_ON_SERVER && failure.answer().contains("[\"no\",\"missing\"]"));
        String wait = "{\"offline\":true," + index.call("changes.list", "{}").json().replaceAll(".*(\"cursor\":\"[^\"]*\").*", "$1") + "}";
        check("a deadline of a method", index.call("changes.wait", wait, new Query().deadline(Duration.ofMillis(1))).status() == Status.NOT_YET);
        check("progress of a method", code(() -> index.call("changes.wait", wait, new Query().progress(one -> false))).startsWith("ABORTED: "));
        movies.invalidateItem(movie[1]);
        check("an invalidated item", movies.lookupKey(movie[3]) == null && movies.match(movie[3]).status() == Status.OK && movies.lookupKey(movie[3]) != null);
        movies.invalidate();
        check("an invalidated library", movies.match(movie[3], new Query().offline()).stale());
        for (boolean closes : new boolean[] {false, true}) {
            AtomicReference<String> ended = new AtomicReference<>("");
            CountDownLatch waits = new CountDownLatch(1);
            Thread waiting = new Thread(() -> ended.set(code(() -> index.call("changes.wait", wait, new Query().noDeadline().progress(one -> {
                waits.countDown();
                return true;
            })))));
            waiting.start();
            waits.await();
            if (closes) index.close();
            else waiting.interrupt();
            waiting.join(10_000);
            check(closes ? "a close ends a wait" : "an interrupt ends a wait", ended.get().startsWith(closes ? "CLOSED: " : "ABORTED: "));
        }
        check("a method of a closed index", code(() -> index.call("store.get", "{}")).startsWith("CLOSED: "));
    }

    /** Calls that wait for the server end when they are told to. */
    static void waiting(Options options) throws Exception {
        Plexindex index = Plexindex.open(options);
        check("a deadline", !index.library("Movies").refresh(new Query().deadline(Duration.ofMillis(300))));
        try (Plexindex hasty = Plexindex.open(options.deadline(Duration.ofMillis(50)))) {
            check("a deadline of the options", !hasty.library("Movies").refresh());
        }
        AtomicReference<String> ended = new AtomicReference<>();
        Thread thread = new Thread(() -> ended.set(code(() -> index.library("Movies").refresh(new Query())) + Thread.currentThread().isInterrupted()));
        thread.start();
        thread.interrupt();
        thread.join();
        check("an interrupt ends a call", ended.get().startsWith("ABORTED: ") && ended.get().endsWith("true"));
        index.close();
    }

    /** Arguments that are refused by their names, deadlines that are none, and functions of Abi. */
    static void arguments(Path folder) {
        Duration longest = Duration.ofSeconds(Long.MAX_VALUE);
        Options four = new Options(folder.resolve("four")).serverUrl(URL).token(System.getenv("PLEXINDEX_TEST_TOKEN"));
        try (Plexindex index = Plexindex.open(four.deadline(longest).libraryTtl(longest))) {
            check("a deadline of " + longest, index.library("Movies").refresh(new Query().deadline(longest))
                && index.library("Movies").match("/x").status() == Status.NOT_FOUND);
        }
        for (Duration deadline : new Duration[] {Duration.ZERO, Duration.ofMillis(-1), Duration.ofSeconds(Long.MIN_VALUE)}) {
            try (Plexindex index = Plexindex.open(four.deadline(deadline).libraryTtl(Duration.ofMillis(-1)))) {
                Library movies = index.library("Movies");
                check("a deadline of " + deadline, !movies.refresh(new Query().full().deadline(deadline)));
                check("in the options", !movies.refresh(new Query().full()) && index.library("TV Shows").match("/x").status().number < 100);
                check("no deadline", movies.refresh(new Query().full().deadline(deadline).noDeadline()));
            }
        }
        check("a negative retry", code(() -> new Options(folder).retry(Duration.ofMillis(-1))).startsWith("INVALID_ARGUMENT: retry is negative"));
        check("a negative page size", code(() -> new Options(folder).pageSize(-1)).startsWith("INVALID_ARGUMENT: pageSize is negative"));
        // Bytes that are no UTF-8, which a Path's text does not have.
        Path latin = Path.of(java.net.URI.create(folder.toUri() + "%E4%20%25"));
        Plexindex.open(new Options(latin).caFile(null)).close();
        check("the folder of an index has the name that its Path has", Files.exists(latin.resolve("plexindex-1.db")));
        Query offline = new Query();
        offline.offline();
        try (Plexindex empty = Plexindex.open(new Options(folder.resolve("none")).serverUrl(URL))) {
            check("a query is changed in place, as options are", code(() -> empty.library("Movies").match("/x", offline)).startsWith("OFFLINE: "));
        }
        Plexindex index = Plexindex.open(new Options(folder.resolve("four")).serverUrl(URL).deadline(Duration.ZERO));
        Library movies = index.library("Movies");
        List<Supplier<?>> nulls = List.of(() -> movies.match((String) null), () -> movies.lookupKey((byte[]) null), () -> movies.matchAll(null),
            () -> movies.matchAll(Arrays.asList("/x", null)), () -> index.call(null, ""), () -> index.call("x", null),
            () -> movies.match((byte[]) null, new Query()), () -> movies.match("/x", null), () -> movies.refresh(null),
            () -> index.library(null), () -> index.fill(null), () -> index.run(null), () -> new Options((Path) null), () -> Plexindex.open(null), () -> new Options(folder).mapping("/x", null));
        List<String> named = nulls.stream().map(Test::refused).collect(Collectors.toList());
        check("null is refused by name", named.equals(List.of("path", "path", "paths", "paths[1]", "method", "request",
            "path", "query", "query", "name", "call", "call", "cacheDir", "options", "to")));
        for (Supplier<?> call : List.<Supplier<?>>of(() -> movies.match("a\0b"), () -> movies.matchAll(List.of("a\0b")), () -> movies.match("")))
            check("a bad path", code(call).startsWith("INVALID_ARGUMENT: "));
        byte[] entry = "one".getBytes(StandardCharsets.UTF_8);
        PointerByReference table = new PointerByReference();
        index.run((abi, handle, error) -> abi.plexindex_get_table(handle, entry, 3, 0, table, error));
        index.run((abi, handle, error) -> abi.plexindex_table_put(table.getValue(), entry, 3, entry, 3, 0, 0, error));
        Plexindex.Filling get = (abi, handle, value, error) -> abi.plexindex_table_get(table.getValue(), entry, 3, value, error);
        check("a function of Abi that fills a buffer", index.fill(get).data.getString(0, "UTF-8").equals("one"));
        index.run((abi, handle, error) -> abi.plexindex_invalidate_library(movies.handle(), error));
        try (Plexindex other = Plexindex.open(new Options(folder.resolve("none")))) {
            check("a handle is of the call of its own index", code(movies::handle).startsWith("INVALID_ARGUMENT: ")
                && code(() -> other.run((abi, handle, error) -> abi.plexindex_invalidate_library(movies.handle(), error))).startsWith("INVALID_ARGUMENT: "));
        }
        check("and one that fills a struct", stats(index).calls > 0);
        index.close();
        check("on a closed index", code(() -> index.fill(get)).startsWith("CLOSED: "));
        check("a handle of a closed index", code(movies::handle).startsWith("CLOSED: "));
    }

    /** Names of files, which may have bytes that are no text in this locale, or in none. */
    static void names(Path folder, String key) throws Exception {
        Path media = Files.createDirectories(folder.resolve("media"));
        List<Path> files = Stream.of("%E4%20%25.mkv", "%C3%A4.mkv", "x.mkv").map(name -> Path.of(java.net.URI.create(media.toUri() + name))).toList();
        byte[] latin = (media + "/? %.mkv").getBytes(StandardCharsets.UTF_8);
        latin[latin.length - 7] = (byte) 0xe4;
        try (Plexindex index = Plexindex.open(named(folder))) {
            Library movies = index.library("Movies");
            for (Path file : files) {
                Files.createFile(file);
                movies.recordMatch(file, key);
            }
            check("a file has the bytes of its name", key.equals(movies.lookupKey(latin)) && key.equals(movies.lookupKey(media + "/ä.mkv"))
                && movies.match(latin).matchKind() == MatchKind.CONFIRMED && movies.match(files.get(0)).matchKind() == MatchKind.CONFIRMED);
            List<Answer> mixed = movies.matchAll(List.of(latin, files.get(0), media + "/ä.mkv", "/none"));
            check("many files, of each type", mixed.stream().map(Answer::matchKind).toList()
                .equals(List.of(MatchKind.CONFIRMED, MatchKind.CONFIRMED, MatchKind.CONFIRMED, MatchKind.NONE)));
            check("another type", code(() -> movies.matchAll(List.of("/x", 7))).startsWith("INVALID_ARGUMENT: paths[1] is no String, Path or byte[]"));
            check("an empty name is none", code(() -> movies.match(Path.of(""))).startsWith("INVALID_ARGUMENT: ")
                && code(() -> Plexindex.open(new Options(Path.of("")))).startsWith("INVALID_ARGUMENT: "));
            Path here = Path.of("x.mkv");
            movies.recordMatch(here, key);
            check("a relative file has its full name", key.equals(movies.lookupKey(here.toAbsolutePath().toString())));
            for (String locale : List.of("C", "C.UTF-8")) {
                ProcessBuilder process = new ProcessBuilder("java", "-cp", System.getProperty("java.class.path"), "Test", "names", folder.toString());
                process.environment().put("LC_ALL", locale);
                process.redirectErrorStream(true);
                String said = new String(process.start().getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
                check("so have those of Files.list() in the locale " + locale + ": " + said, said.equals("[CONFIRMED, CONFIRMED, CONFIRMED] 3"));
            }
            movies.recordMatch("/half/?.mkv", key);
            check("half of a surrogate pair is no question mark", movies.lookupKey("/half/\ud800.mkv") == null && movies.lookupKey("/half/?.mkv") != null
                && movies.match("/half/\ud83d\ude00\udc00.mkv").status() == Status.NOT_FOUND);
            movies.recordMatch("/half/\ufffd.mkv", key);
            check("but a replacement character", key.equals(movies.lookupKey("/half/\ud800.mkv")));
            movies.recordMatch("/half/\ud83d\ude00.mkv", key);
            check("a whole one is itself", key.equals(movies.lookupKey("/half/\ud83d\ude00.mkv".getBytes(StandardCharsets.UTF_8))));
            try (java.nio.file.FileSystem other = java.nio.file.FileSystems.newFileSystem(zip(folder))) {
                Path inside = other.getPath("/x");
                for (Supplier<?> call : List.<Supplier<?>>of(() -> new Options(inside), () -> new Options(folder).database(inside), () -> movies.match(inside)))
                    check("a path of another file system", code(call).matches("INVALID_ARGUMENT: (cacheDir|database|path) is of another file system: jar:.*"));
            }
        }
    }

    static Path zip(Path folder) throws IOException {
        Path file = folder.resolve("x.zip");
        new java.util.zip.ZipOutputStream(Files.newOutputStream(file)).close();
        return file;
    }

    static Options named(Path folder) { return new Options(folder.resolve("cache")).serverUrl(URL).token(System.getenv("PLEXINDEX_TEST_TOKEN")); }

    /** In a process with another locale. */
    static void listed(Path folder) throws IOException {
        try (Plexindex index = Plexindex.open(named(folder)); Stream<Path> files = Files.list(folder.resolve("media"))) {
            List<Path> all = files.toList();
            System.out.println(index.library("Movies").matchAll(all, new Query().offline()).stream().map(Answer::matchKind).toList() + " "
                + all.stream().filter(file -> index.library("Movies").match(file, new Query().offline()).item() != null).count());
        }
    }

    static Abi.Stats stats(Plexindex index) {
        Abi.Stats stats = new Abi.Stats();
        index.run((abi, handle, error) -> abi.plexindex_get_stats(handle, stats, error));
        return stats;
    }

    static String closed(Plexindex index) {
        return code(() -> {
            index.close();
            return "closed";
        });
    }

    static String refused(Supplier<?> call) { return ((NullPointerException) thrown(call)).getMessage(); }

    public static void main(String[] given) throws Exception {
        String what = given.length == 0 ? "" : given[0];
        if (what.equals("names")) {
            listed(Path.of(given[1]));
            return;
        }
        TreeSet<String> here = layout(), there = recorded(Path.of("../../docs/abi.txt"));
        here.removeAll(there);
        check("structs have the layout of docs/abi.txt: " + here, here.isEmpty() && layout().size() > 100);
        Path folder = Files.createTempDirectory("plexindex-java-");
        try {
            List<String[]> facts = Files.readAllLines(Path.of(System.getenv("PLEXINDEX_TEST_FACTS"))).stream().map(line -> line.split("\t")).collect(Collectors.toList());
            questions(folder, facts);
            arguments(folder);
            options(folder.resolve("five"), facts.get(0)[3]);
            names(folder.resolve("seven"), facts.get(0)[1]);
            methods(folder.resolve("eight"), facts);
        } finally {
            remove(folder);
        }
        System.exit(failed);
    }
}
