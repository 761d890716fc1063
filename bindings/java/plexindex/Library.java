package plexindex;

import com.sun.jna.Pointer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * A library of an index, or all of them. Deadlines may be null: the options' then. Zero: the call waits for nothing.
 * Negative: none. A deadline that passes gives the status NOT_YET, or NEEDS_WARM if nothing came from the server.
 */
public final class Library {
    private final Plexindex index;
    private final Pointer handle;

    Library(Plexindex index, Pointer handle) {
        this.index = index;
        this.handle = handle;
    }

    /** What functions of {@link Abi} take as the library: Plexindex.run() and fill() call these. */
    public Pointer handle() { return handle; }

    /** The key of the item with this path, where the index has it at hand; else null. Never asks the server. */
    public String lookupKey(String path) {
        if (Objects.requireNonNull(path, "path").indexOf('\0') >= 0) return null;
        byte[] bytes = Texts.bytes(path + '\0');
        return index.during(any -> index.abi().plexindex_lookup_key(handle, bytes));
    }

    /** The full answer for one path. Fetches the library where it must. */
    public Answer match(String path) { return match(path, null); }

    public Answer match(String path, Duration deadline) { return ask(Abi::plexindex_match_path, path, "path", deadline); }

    /** An answer for each path, in order. */
    public List<Answer> matchAll(List<String> paths, Duration deadline) {
        String[] own = Objects.requireNonNull(paths, "paths").toArray(new String[0]); // the caller's may grow meanwhile
        byte[] all = Texts.joined(Arrays.asList(own), "paths");
        if (own.length == 0) return List.of();
        return ask((abi, open, query, block, error) -> abi.plexindex_match_paths(open, query, own.length, block, error), all, deadline);
    }

    /** Which show, season, artist, album or item a folder is. */
    public Answer matchFolder(String path, Duration deadline) { return ask(Abi::plexindex_match_folder, path, "path", deadline); }

    /** The items with this GUID, such as imdb://tt1254207. */
    public Answer matchGuid(String guid, Duration deadline) { return ask(Abi::plexindex_match_guid, guid, "guid", deadline); }

    /** The items with this title. */
    public Answer searchTitle(String title, Duration deadline) { return ask(Abi::plexindex_search_title, title, "title", deadline); }

    /**
     * Brings the library up to date. False when the deadline came first; while no library is known that is an exception
     * with the code TIMEOUT.
     */
    public boolean refresh(Duration deadline) {
        Abi.Query query = query(new byte[0], deadline);
        return index.run((abi, open, error) -> abi.plexindex_refresh(open, query, error)) == Abi.OK;
    }

    /** Records that the item with this key has this path. */
    public void recordMatch(String path, String key) {
        byte[] file = Texts.bytes(path, "path"), item = Texts.bytes(key, "key");
        index.run((abi, open, error) -> abi.plexindex_record_match(handle, file, file.length, item, item.length, 0, error));
    }

    /** Invalidates a path: the server is asked before it is answered again. */
    public void invalidatePath(String path) {
        byte[] file = Texts.bytes(path, "path");
        index.run((abi, open, error) -> abi.plexindex_invalidate_path(handle, file, file.length, error));
    }

    private interface Question {
        int put(Abi abi, Pointer index, Abi.Query query, Abi.Buffer block, Abi.Buffer error);
    }

    private Answer ask(Question question, String text, String name, Duration deadline) {
        return ask(question, Texts.bytes(text, name), deadline).get(0);
    }

    private List<Answer> ask(Question question, byte[] text, Duration deadline) {
        Abi.Query query = query(text, deadline);
        Plexindex.Filling call = (abi, open, block, error) -> question.put(abi, open, query, block, error);
        return Answer.all(index.abi(), index.fill(call, 16384 + 4L * text.length));
    }

    private Abi.Query query(byte[] text, Duration deadline) {
        Abi.Query query = new Abi.Query();
        query.size = query.size();
        query.library = handle;
        Texts.set(query.text, text);
        query.deadline_ms = deadline == null ? 0 : Options.ms(deadline, 1, Abi.NO_DEADLINE);
        query.progress = index.progress();
        return query;
    }
}
