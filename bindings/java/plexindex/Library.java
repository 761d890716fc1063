package plexindex;

import com.sun.jna.Pointer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * A library of an index, or all of them. Paths are as the server or a mapping spells them: texts; files of this machine,
 * which are asked about by their full names; or the file system's bytes.
 */
public final class Library {
    private final Plexindex index;
    private final Pointer handle;
    private final String name;

    Library(Plexindex index, Pointer handle, String name) {
        this.index = index;
        this.handle = handle;
        this.name = name;
    }

    /** What functions of {@link Abi} take as the library. Only a call of Plexindex.run() or fill() of its own index gets it. */
    public Pointer handle() {
        if (CurrentCall.isOf(index)) return handle;
        if (index.isClosing()) throw PlexindexException.closed();
        throw Texts.invalid("handle() is for calls of run() and fill() of its own index: call it in there");
    }

    /** The key of the item with this path, where the index has it at hand; else null. Never asks the server. */
    public String lookupKey(String path) { return lookupKey(Texts.bytes(path, "path")); }

    public String lookupKey(Path path) { return lookupKey(Texts.bytes(path, "path")); }

    public String lookupKey(byte[] path) {
        byte[] bytes = Arrays.copyOf(Objects.requireNonNull(path, "path"), path.length + 1);
        if (Texts.hasNul(path)) return null;
        return index.during(any -> index.abi().plexindex_lookup_key(handle, bytes));
    }

    /** The full answer for one path. Fetches the library where it must. */
    public Answer match(String path) { return match(path, Query.DEFAULT); }

    public Answer match(String path, Query query) { return match(Texts.bytes(path, "path"), query); }

    public Answer match(Path path) { return match(path, Query.DEFAULT); }

    public Answer match(Path path, Query query) { return match(Texts.bytes(path, "path"), query); }

    public Answer match(byte[] path) { return match(path, Query.DEFAULT); }

    public Answer match(byte[] path, Query query) { return ask(Abi::plexindex_match_path, path, "path", query); }

    /** An answer for each path, in order. Each is a String, a Path or a byte[]. */
    public List<Answer> matchAll(List<?> paths) { return matchAll(paths, Query.DEFAULT); }

    public List<Answer> matchAll(List<?> paths, Query query) {
        Object[] own = Objects.requireNonNull(paths, "paths").toArray(); // the caller's may grow meanwhile
        byte[] all = Texts.joined(own, "paths");
        if (own.length == 0) return List.of();
        return ask((abi, open, asked, block, error) -> abi.plexindex_match_paths(open, asked, own.length, block, error), all, query);
    }

    /**
     * Brings the library up to date. False when the deadline came first; while no library is known that is an exception
     * with the status TIMEOUT.
     */
    public boolean refresh() { return refresh(Query.DEFAULT); }

    public boolean refresh(Query query) {
        Abi.Query filled = filled(handle, new byte[0], query);
        return index.run(query, (abi, open, error) -> abi.plexindex_refresh(open, filled, error)) == Abi.OK;
    }

    /** Records that the item with this key has this path. */
    public void recordMatch(String path, String key) { recordMatch(Texts.bytes(path, "path"), key); }

    public void recordMatch(Path path, String key) { recordMatch(Texts.bytes(path, "path"), key); }

    public void recordMatch(byte[] path, String key) {
        byte[] file = Objects.requireNonNull(path, "path").clone(), item = Texts.bytes(key, "key");
        index.run((abi, open, error) -> abi.plexindex_record_match(handle, file, file.length, item, item.length, 0, error));
    }

    /** Invalidates a path: the server is asked before it is answered again. */
    public void invalidatePath(String path) { invalidatePath(Texts.bytes(path, "path")); }

    public void invalidatePath(Path path) { invalidatePath(Texts.bytes(path, "path")); }

    public void invalidatePath(byte[] path) {
        byte[] file = Objects.requireNonNull(path, "path").clone();
        index.run((abi, open, error) -> abi.plexindex_invalidate_path(handle, file, file.length, error));
    }

    /** Invalidates an item by its key or rating key, with all its paths. */
    public void invalidateItem(String key) {
        byte[] item = Texts.bytes(key, "key");
        index.run((abi, open, error) -> abi.plexindex_invalidate_item(handle, item, item.length, error));
    }

    /** Invalidates the library: the next question fetches a full listing. */
    public void invalidate() { index.run((abi, open, error) -> abi.plexindex_invalidate_library(handle, error)); }

    /** The name that it was asked for by. */
    @Override
    public String toString() { return name == null ? "all libraries" : "library " + name; }

    private interface Question {
        int put(Abi abi, Pointer index, Abi.Query query, Abi.Buffer block, Abi.Buffer error);
    }

    private Answer ask(Question question, byte[] text, String name, Query query) {
        return ask(question, Objects.requireNonNull(text, name), query).get(0);
    }

    private List<Answer> ask(Question question, byte[] text, Query query) {
        if ((Objects.requireNonNull(query, "query").flags & (Abi.QUERY_FULL | Abi.QUERY_PROBE)) != 0)
            throw Texts.invalid("full() and check() are for refresh()");
        Abi.Query filled = filled(handle, text, query);
        Plexindex.Filling call = (abi, open, block, error) -> question.put(abi, open, filled, block, error);
        return index.fill(query, call, 16384 + 4L * text.length, (block, status) -> Answer.all(block.data));
    }

    private static Abi.Query filled(Pointer library, byte[] text, Query query) {
        Abi.Query filled = new Abi.Query();
        filled.setAutoRead(false); // the library changes nothing in it
        filled.library = library;
        Texts.set(filled.text, text);
        filled.flags = Objects.requireNonNull(query, "query").flags;
        filled.deadline_ms = query.deadlineMs;
        return filled;
    }
}
