package plexindex;

import com.sun.jna.Library;
import com.sun.jna.Native;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The native library: in the JAR for this platform, else the system's runtime library, else the development link. */
final class Natives {
    private static Abi loaded;

    private Natives() { }

    static synchronized Abi abi() {
        if (loaded == null) loaded = load();
        return loaded;
    }

    private static boolean isMac() { return System.getProperty("os.name").startsWith("Mac"); }

    /** This platform, as its folder in the JAR is called: linux-x86_64, linux-aarch64-musl. */
    static String platform() {
        String arch = System.getProperty("os.arch");
        String name = (isMac() ? "darwin-" : "linux-") + ("amd64".equals(arch) ? "x86_64" : arch);
        return !isMac() && hasMusl() ? name + "-musl" : name;
    }

    /** Whether the C library of this process is musl: its loader is mapped then. */
    private static boolean hasMusl() {
        try {
            return new String(Files.readAllBytes(Path.of("/proc/self/maps")), StandardCharsets.ISO_8859_1).contains("/ld-musl-");
        } catch (IOException error) {
            return false;
        }
    }

    /** The files to try. One that is named or packed is used, or its failure is shown. */
    private static List<String> files(String named, String packed) throws IOException {
        if (named != null && !named.isEmpty()) return List.of(named);
        if (Natives.class.getResource(packed) != null)
            return List.of(Native.extractFromResourcePath(packed, Natives.class.getClassLoader()).getPath());
        return isMac() ? List.of("libplexindex.0.dylib", "libplexindex.dylib") : List.of("libplexindex.so.0", "libplexindex.so");
    }

    private static Abi load() {
        String named = System.getenv("PLEXINDEX_LIBRARY");
        String packed = "/native/" + platform() + (isMac() ? "/libplexindex.dylib" : "/libplexindex.so");
        List<String> failures = new ArrayList<>();
        Throwable cause = null;
        try {
            for (String file : files(named, packed)) {
                try {
                    Abi abi = Native.load(file, Abi.class, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));
                    if (abi.plexindex_get_abi_version() == Abi.ABI_VERSION) return abi;
                    failures.add(file + " has ABI version " + abi.plexindex_get_abi_version() + ", not " + Abi.ABI_VERSION);
                } catch (UnsatisfiedLinkError error) {
                    if (cause == null) cause = error;
                    // JNA says why in what it suppresses, and begins it with the file.
                    failures.add(Stream.of(error.getSuppressed()).map(Throwable::getMessage).findFirst().orElse(file + ": " + error.getMessage()));
                }
            }
        } catch (IOException error) {
            cause = error;
            failures.add(packed + ": " + error.getMessage());
        }
        String remedy = named != null && !named.isEmpty() ? "PLEXINDEX_LIBRARY names no library for " + platform()
            : "use a plexindex.jar that has " + packed + ", or install the C library (libplexindex.so.0)"
                + ", or name the library's file in PLEXINDEX_LIBRARY";
        PlexindexException error = new PlexindexException(Status.NOT_INSTALLED,
            "the plexindex library cannot be loaded: " + remedy + " (" + String.join("; ", failures) + ")");
        error.initCause(cause);
        throw error;
    }
}
