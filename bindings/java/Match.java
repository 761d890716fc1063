// Which item is this file? `java -cp jna.jar:… Match URL TOKEN FOLDER LIBRARY FILE`
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.nio.charset.StandardCharsets;

public class Match {
    static final String NAMED = System.getenv().getOrDefault("PLEXINDEX_LIBRARY", "plexindex");
    static final Plexindex PLEXINDEX = Native.load(NAMED, Plexindex.class);

    static void set(Plexindex.Bytes bytes, String text) {
        byte[] raw = text.getBytes(StandardCharsets.UTF_8);
        Memory memory = new Memory(raw.length + 1);
        memory.write(0, raw, 0, raw.length);
        bytes.data = memory; // which it keeps
        bytes.length = raw.length;
    }

    static Plexindex.Buffer memory() {
        Plexindex.Buffer buffer = new Plexindex.Buffer();
        buffer.capacity = 1 << 16;
        buffer.data = new Memory(buffer.capacity);
        return buffer;
    }

    public static void main(String[] given) {
        Plexindex.Buffer error = memory(), block = memory();
        Plexindex.Options options = new Plexindex.Options();
        options.size = options.size();
        set(options.server_url, given[0]);
        set(options.token, given[1]);
        set(options.cache_dir, given[2]);
        PointerByReference index = new PointerByReference(), library = new PointerByReference();
        int status = PLEXINDEX.plexindex_open(options, index, error); // the folder is made, nothing is fetched
        byte[] title = given[3].getBytes(StandardCharsets.UTF_8);
        if (status == Plexindex.OK)
            status = PLEXINDEX.plexindex_get_library(index.getValue(), Plexindex.SELECT_TITLE, title, title.length, library, error);
        Plexindex.Query query = new Plexindex.Query();
        query.size = query.size();
        query.library = library.getValue();
        set(query.text, given[4]);
        if (status == Plexindex.OK) // fetches the library where it must
            status = PLEXINDEX.plexindex_match_path(index.getValue(), query, block, error);
        Pointer answer = PLEXINDEX.plexindex_get_answer(block, 0), item; // none after an error
        for (long place = 0; (item = PLEXINDEX.plexindex_get_candidate(block, answer, place)) != null; place++)
            System.out.println(PLEXINDEX.plexindex_get_text(block, item)); // the key: an item begins with it
        if (status != Plexindex.OK) System.out.println(PLEXINDEX.plexindex_get_status_name(status));
        if (status >= 100) System.err.println(error.data.getString(0, "UTF-8"));
        System.exit(PLEXINDEX.plexindex_close(index.getValue(), null) == Plexindex.OK && status < 100 ? 0 : 1);
    }
}
