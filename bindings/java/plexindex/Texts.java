package plexindex;

import com.sun.jna.Memory;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

/** Texts for the native library, in UTF-8, and from it. */
final class Texts {
    private Texts() { }

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    static byte[] bytes(String text, String name) { return bytes(Objects.requireNonNull(text, name)); }

    /** The failure that the library has for a bad argument. */
    static PlexindexException invalid(String message) { return new PlexindexException(Status.INVALID_ARGUMENT, message); }

    /** Texts with a NUL behind each. */
    static byte[] joined(List<String> texts, String name) {
        StringBuilder all = new StringBuilder();
        int at = 0;
        for (String text : texts) {
            String which = name + "[" + at++ + "]";
            if (Objects.requireNonNull(text, which).indexOf('\0') >= 0) throw invalid(which + " has a NUL in it");
            all.append(text).append('\0');
        }
        return bytes(all.toString());
    }

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
    static String of(Abi.Buffer block, Abi.Text text) {
        if (text.offset == 0) return null;
        return new String(block.data.getByteArray(Integer.toUnsignedLong(text.offset), text.length), StandardCharsets.UTF_8);
    }
}
