package plexindex;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.Objects;
import java.util.regex.Pattern;

/** Texts for the native library, in UTF-8, and from it. */
final class Texts {
    private static final Pattern HALVES = Pattern.compile("\\p{Cs}");
    /** Whether the text of a Path is that of its bytes, but where these are no UTF-8. */
    private static final boolean IN_UTF_8 = "UTF-8".equals(System.getProperty("sun.jnu.encoding"));

    private Texts() { }

    /** In UTF-8. Half of a surrogate pair is U+FFFD, and not the question mark that getBytes() makes of it. */
    static byte[] bytes(String text) {
        boolean pairs = text.chars().anyMatch(one -> Character.isSurrogate((char) one));
        return (pairs ? HALVES.matcher(text).replaceAll("\ufffd") : text).getBytes(StandardCharsets.UTF_8);
    }

    static byte[] bytes(String text, String name) { return bytes(Objects.requireNonNull(text, name)); }

    /**
     * The bytes of a file's full name. Its text lacks those that the locale does not have; a URI has all, but asks the
     * disk whether the file is a folder, to end it with a slash.
     */
    static byte[] bytes(Path given, String name) {
        if (Objects.requireNonNull(given, name).getFileSystem() != FileSystems.getDefault())
            throw invalid(name + " is of another file system: " + given.toUri());
        if (given.toString().isEmpty()) return new byte[0]; // which is refused: nobody means the working directory
        Path file = given.toAbsolutePath();
        String text = file.toString();
        boolean whole = IN_UTF_8 ? text.indexOf('\ufffd') < 0 : text.chars().allMatch(one -> one < 0x80);
        if (whole || File.separatorChar != '/') return bytes(text);
        String uri = file.toUri().getRawPath();
        if (uri.length() > 1 && uri.endsWith("/")) uri = uri.substring(0, uri.length() - 1);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int at = 0; at < uri.length(); at++) {
            if (uri.charAt(at) != '%') bytes.write(uri.charAt(at));
            else {
                bytes.write(Integer.parseInt(uri, at + 1, at + 3, 16));
                at += 2;
            }
        }
        return bytes.toByteArray();
    }

    /** The failure that the library has for a bad argument. */
    static PlexindexException invalid(String message) { return new PlexindexException(Status.INVALID_ARGUMENT, message); }

    /** A path that is a text, a Path or bytes. */
    private static byte[] path(Object path, String name) {
        if (Objects.requireNonNull(path, name) instanceof byte[] bytes) return bytes;
        if (path instanceof Path file) return bytes(file, name);
        if (path instanceof String text) return bytes(text);
        throw invalid(name + " is no String, Path or byte[], but of " + path.getClass());
    }

    /** Paths with a NUL behind each. */
    static byte[] joined(Object[] paths, String name) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (int at = 0; at < paths.length; at++) {
            String which = name + "[" + at + "]";
            byte[] bytes = path(paths[at], which);
            if (hasNul(bytes)) throw invalid(which + " has a NUL in it");
            all.write(bytes, 0, bytes.length);
            all.write(0);
        }
        return all.toByteArray();
    }

    static boolean hasNul(byte[] bytes) {
        for (byte one : bytes) if (one == 0) return true;
        return false;
    }

    /** A text with a NUL behind it; null for none. */
    static String of(Pointer text) { return text == null ? null : text.getString(0, "UTF-8"); }

    static void set(Abi.Bytes field, byte[] raw) {
        if (raw.length == 0) return;
        Memory memory = new Memory(raw.length);
        memory.write(0, raw, 0, raw.length);
        field.data = memory; // which it keeps
        field.length = raw.length;
    }

    static Abi.Buffer buffer(long capacity) {
        Abi.Buffer buffer = new Abi.Buffer();
        buffer.capacity = capacity;
        buffer.data = new Memory(capacity);
        return buffer;
    }

    /** A text of a block; null where there is none. */
    static String of(Pointer block, long at) {
        int offset = block.getInt(at);
        return offset == 0 ? null : new String(block.getByteArray(Integer.toUnsignedLong(offset), block.getInt(at + 4)), StandardCharsets.UTF_8);
    }
}
