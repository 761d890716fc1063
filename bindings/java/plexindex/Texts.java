package plexindex;

import com.sun.jna.Memory;
import java.nio.charset.StandardCharsets;
import java.util.Collection;

/** Texts for the native library, in UTF-8, and from it. */
final class Texts {
    private Texts() { }

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    /** Texts with a NUL behind each. */
    static byte[] joined(Collection<String> texts) {
        StringBuilder all = new StringBuilder();
        for (String text : texts) {
            if (text.indexOf('\0') >= 0) throw new IllegalArgumentException("a path or a key cannot hold a NUL");
            all.append(text).append('\0');
        }
        return bytes(all.toString());
    }

    static void set(Abi.Bytes field, String text) { set(field, bytes(text)); }

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
