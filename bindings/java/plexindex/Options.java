package plexindex;

import com.sun.jna.Structure;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** How to open an index. What is not set has its default: plexindex.h. */
public final class Options {
    final Abi.Options filled = new Abi.Options();
    private final List<String[]> mappings = new ArrayList<>();
    private Abi.Mapping[] rules; // kept while `filled` points to them

    /** The folder of the index. It is made. */
    public Options(Path cacheDir) {
        filled.size = filled.size();
        set(filled.cache_dir, Objects.requireNonNull(cacheDir, "cacheDir").toString());
    }

    public Options serverUrl(String url) { return set(filled.server_url, url); }

    public Options token(String token) { return set(filled.token, token); }

    /** The user whose view this is: for tokens that change. */
    public Options user(String user) { return set(filled.user, user); }

    public Options caFile(Path file) { return set(filled.ca_file, file == null ? null : file.toString()); }

    /** Plex's own database, or a folder in which it lies. */
    public Options database(Path database) { return set(filled.database, database == null ? null : database.toString()); }

    /** A PostgreSQL database that several hosts share, without a password. */
    public Options shared(String address) { return set(filled.shared, address); }

    /** How long a listing is fresh. Zero: never. Negative: until it is invalidated. */
    public Options libraryTtl(Duration time) {
        filled.library_ttl_ms = ms(Objects.requireNonNull(time, "libraryTtl"), Abi.TTL_AT_ONCE, Abi.TTL_NEVER);
        return this;
    }

    /** The deadline of calls that have none of their own. Zero: a call waits for nothing. Negative, as without this: none. */
    public Options deadline(Duration time) {
        filled.deadline_ms = ms(Objects.requireNonNull(time, "deadline"), 1, Abi.NO_DEADLINE);
        return this;
    }

    /** How long a request that failed is tried again. Zero: not at all. */
    public Options retry(Duration time) {
        if (Objects.requireNonNull(time, "retry").isNegative()) throw Texts.invalid("retry is negative: " + time);
        filled.retry_ms = ms(time, Abi.NO_RETRY, 0);
        return this;
    }

    /** Items of a listing in one request. */
    public Options pageSize(int items) {
        if (items < 0) throw Texts.invalid("pageSize is negative: " + items);
        filled.page_size = items;
        return this;
    }

    /** No request is ever sent. */
    public Options offline() {
        filled.flags |= Abi.OPEN_OFFLINE;
        return this;
    }

    /** A folder as this program names it, and as the server names it. */
    public Options mapping(String here, String server) {
        mappings.add(new String[] {Objects.requireNonNull(here, "here"), Objects.requireNonNull(server, "server")});
        return this;
    }

    /** Milliseconds: at least one, and as many as there can be for a time that is longer. */
    static long ms(Duration time, long ofZero, long ofNegative) {
        if (time.isZero()) return ofZero;
        if (time.isNegative()) return ofNegative;
        if (time.getSeconds() >= Long.MAX_VALUE / 1000) return Long.MAX_VALUE;
        return Math.max(1, time.toMillis());
    }

    private Options set(Abi.Bytes field, String text) {
        if (text != null) Texts.set(field, text);
        return this;
    }

    Abi.Options ready() {
        if (mappings.isEmpty()) return filled;
        rules = (Abi.Mapping[]) new Abi.Mapping().toArray(mappings.size());
        for (int at = 0; at < rules.length; at++) {
            rules[at].kind = Abi.MAPPING_HOST_PREFIX;
            Texts.set(rules[at].from, mappings.get(at)[0]);
            Texts.set(rules[at].to, mappings.get(at)[1]);
            ((Structure) rules[at]).write();
        }
        filled.mappings = rules[0].getPointer();
        filled.mappings_count = rules.length;
        return filled;
    }
}
