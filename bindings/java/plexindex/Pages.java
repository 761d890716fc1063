package plexindex;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;

/** Items of the store, page by page: the next page is read when the one before is used up. */
final class Pages implements Iterator<Item> {
    private static final long LIMIT = 1000, BYTES = 400 * LIMIT;
    private final Plexindex index;
    private final Plexindex.Call call;
    private Abi.Buffer block = Texts.buffer(BYTES); // for all pages: the collector does not see how large it is
    private Iterator<Item> page = Collections.emptyIterator();
    private byte[] last; // the path of the last item
    private boolean ended;

    private Pages(Plexindex index, Pointer library, byte[] folder) {
        this.index = index;
        LongByReference cursor = new LongByReference();
        call = folder == null ? (abi, open, error) -> abi.plexindex_list_items(library, cursor, LIMIT, block, error)
            : (abi, open, error) ->
                abi.plexindex_list_items_below(library, folder, folder.length, last, last == null ? 0 : last.length, LIMIT, block, error);
    }

    /** Those of a library, or those with files below a folder. */
    static Iterable<Item> of(Plexindex index, Pointer library, byte[] folder) { return () -> new Pages(index, library, folder); }

    @Override
    public boolean hasNext() {
        if (index.isClosing()) throw PlexindexException.closed();
        if (!page.hasNext() && !ended) page = read();
        return page.hasNext();
    }

    private Iterator<Item> read() {
        int status;
        while ((status = index.run(call)) == Abi.BUFFER_TOO_SMALL) block = Texts.buffer(Buffers.more(block));
        List<Long> places = status == Abi.OK ? Answer.candidates(block.data, Answer.first(block.data)) : List.of();
        ended = places.isEmpty();
        if (!ended) last = Texts.raw(block.data, places.get(places.size() - 1) + Offsets.ITEM_PATH);
        return places.stream().map(at -> Item.of(block.data, at)).toList().iterator();
    }

    @Override
    public Item next() {
        if (!hasNext()) throw new NoSuchElementException();
        return page.next();
    }
}
