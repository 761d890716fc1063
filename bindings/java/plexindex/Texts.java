package plexindex;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/** Texts for the native library, in UTF-8, and from it. */
final class Texts {
    private Texts() { }

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    static byte[] bytes(String text, String name) { return bytes(Objects.requireNonNull(text, name)); }

    /** The bytes of a file's name. Its text lacks those that the locale does not have; a URI has all. */
    static byte[] bytes(Path file) {
        String text = file.toString();
        if (text.chars().allMatch(one -> one < 0x80) || File.separatorChar != '/') return bytes(text);
        String uri = file.toUri().getRawPath();
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
    static String of(Pointer block, long at) {
        byte[] bytes = raw(block, at);
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    static byte[] raw(Pointer block, long at) {
        int offset = block.getInt(at);
        return offset == 0 ? null : block.getByteArray(Integer.toUnsignedLong(offset), block.getInt(at + 4));
    }
}
