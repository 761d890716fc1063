package plexindex;

import com.sun.jna.Structure;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;

/** How to open an index. Each method changes the options, and returns them. What is not set has its default. docs/c.md and plexindex.h say more of each. */
public final class Options {
    private final Abi.Options filled = new Abi.Options();
    private final List<Rule> mappings = new ArrayList<>();
    private Abi.Mapping[] rules; // kept while `filled` points to them
    Supplier<String> renewal;

    private record Rule(MappingKind kind, String from, String to) { }

    /** The folder of the index. It is made. */
    public Options(Path cacheDir) { set(filled.cache_dir, Objects.requireNonNull(cacheDir, "cacheDir"), "cacheDir"); }

    public Options serverUrl(String url) { return set(filled.server_url, url); }

    public Options token(String token) { return set(filled.token, token); }

    /**
     * Gives a new token when the server refuses the one that there is (401), or says that it expired (498); null: there is
     * none now. It runs on the thread of the refused call, which is made again with the new token. Without one the index
     * answers with what it has, or the call fails with UNAUTHORIZED, whose cause is what the function threw.
     */
    public Options renewToken(Supplier<String> function) {
        renewal = Objects.requireNonNull(function, "renewToken");
        filled.renew_token = CurrentCall.RENEW_TOKEN;
        return this;
    }

    /** The user whose view this is: for tokens that change. */
    public Options user(String user) { return set(filled.user, user); }

    /** A PEM file with certificate authorities to trust instead of the system's. */
    public Options caFile(Path file) { return set(filled.ca_file, file, "caFile"); }

    /** Any certificate is accepted. Opening logs a warning. */
    public Options acceptInvalidCerts() { return flag(Abi.OPEN_ACCEPT_INVALID_CERTS); }

    /** Plex's own database, or a folder in which it lies. */
    public Options database(Path database) { return set(filled.database, database, "database"); }

    /** A PostgreSQL database that several hosts share, without a password. */
    public Options shared(String address) { return set(filled.shared, address); }

    /** For how long a host without the shared log asks for no listing. Default: a minute. Zero: it asks at once. */
    public Options sharedRetry(Duration time) {
        filled.shared_retry_ms = time(time, "sharedRetry", Abi.NO_RETRY);
        return this;
    }

    /** A write for other hosts is forced to the disk before its call returns. */
    public Options sharedDurable() { return flag(Abi.OPEN_SHARED_DURABLE); }

    /** How long a listing is fresh. Default: an hour. Zero: never. Negative: until it is invalidated. */
    public Options libraryTtl(Duration time) {
        filled.library_ttl_ms = ms(Objects.requireNonNull(time, "libraryTtl"), Abi.TTL_AT_ONCE, Abi.TTL_NEVER);
        return this;
    }

    /** After how long a full listing is due, even without a change. Default: a day. Negative: never. */
    public Options maxAge(Duration time) {
        filled.max_age_ms = ms(Objects.requireNonNull(time, "maxAge"), 1, Long.MAX_VALUE);
        return this;
    }

    /** The deadline of calls that have none of their own. Default: none. Zero or negative: a call waits for nothing. */
    public Options deadline(Duration time) {
        filled.deadline_ms = ms(Objects.requireNonNull(time, "deadline"), 1, 1);
        return this;
    }

    /** How long making a connection may take. Default: 5 seconds. */
    public Options connectTimeout(Duration time) {
        filled.connect_timeout_ms = time(time, "connectTimeout", 1);
        return this;
    }

    /** How long the server may be silent. Default: a minute; for a question without a listing 15 seconds. */
    public Options readTimeout(Duration time) {
        filled.read_timeout_ms = time(time, "readTimeout", 1);
        return this;
    }

    /** How long a request that failed is tried again. Default: 30 seconds. Zero: not at all. */
    public Options retry(Duration time) {
        filled.retry_ms = time(time, "retry", Abi.NO_RETRY);
        return this;
    }

    /** A call that takes longer is logged with its parts. Default: a second. Negative: none is. */
    public Options slow(Duration time) {
        filled.slow_ms = ms(Objects.requireNonNull(time, "slow"), 1, Abi.NEVER_SLOW);
        return this;
    }

    /** Items of a listing in one request, 1,000 at most. */
    public Options pageSize(int items) {
        filled.page_size = (int) size(items, "pageSize");
        return this;
    }

    /** Bytes that recorded matches may take; the oldest are removed first. Default: 50 MiB. */
    public Options matchesLimit(long bytes) {
        filled.matches_limit = size(bytes, "matchesLimit");
        return this;
    }

    /** Bytes that the folder may take: libraries refreshed longest ago are removed. Default: no limit. */
    public Options sizeLimit(long bytes) {
        filled.size_limit = size(bytes, "sizeLimit");
        return this;
    }

    /** What is logged: Plexindex.drainLog(). It holds for the whole process. Default: warnings. */
    public Options logLevel(LogLevel level) {
        filled.log_level = Objects.requireNonNull(level, "logLevel").number;
        return this;
    }

    /** A short hash names media paths in log lines and errors. */
    public Options obfuscatePaths() { return flag(Abi.OPEN_OBFUSCATE_PATHS); }

    /** Index files are read into memory instead of mapped. */
    public Options noMmap() { return flag(Abi.OPEN_NO_MMAP); }

    /** No request is ever sent. */
    public Options offline() { return flag(Abi.OPEN_OFFLINE); }

    /** A folder as this program names it, and as the server names it. */
    public Options mapping(String here, String server) { return mapping(MappingKind.HOST_PREFIX, here, server); }

    /** Of a PATTERN `from` is a regular expression, and `to` has `\1`, `\g<1>` or `\g<name>` for its groups. */
    public Options mapping(MappingKind kind, String from, String to) {
        mappings.add(new Rule(Objects.requireNonNull(kind, "kind"), Objects.requireNonNull(from, "from"), Objects.requireNonNull(to, "to")));
        return this;
    }

    /** Milliseconds: at least one, and as many as there can be for a time that is longer. */
    static long ms(Duration time, long ofZero, long ofNegative) {
        if (time.isZero()) return ofZero;
        if (time.isNegative()) return ofNegative;
        if (time.getSeconds() >= Long.MAX_VALUE / 1000) return Long.MAX_VALUE;
        return Math.max(1, time.toMillis());
    }

    private static long time(Duration time, String name, long ofZero) {
        if (Objects.requireNonNull(time, name).isNegative()) throw Texts.invalid(name + " is negative: " + time);
        return ms(time, ofZero, 0);
    }

    private static long size(long size, String name) {
        if (size < 0) throw Texts.invalid(name + " is negative: " + size);
        return size;
    }

    private Options set(Abi.Bytes field, String text) {
        if (text != null) Texts.set(field, Texts.bytes(text));
        return this;
    }

    private Options set(Abi.Bytes field, Path file, String name) {
        if (file != null) Texts.set(field, Texts.bytes(file, name));
        return this;
    }

    private Options flag(int flag) {
        filled.flags |= flag;
        return this;
    }

    Abi.Options ready() {
        if (mappings.isEmpty()) return filled;
        rules = (Abi.Mapping[]) new Abi.Mapping().toArray(mappings.size());
        for (int at = 0; at < rules.length; at++) {
            rules[at].kind = mappings.get(at).kind.number;
            Texts.set(rules[at].from, Texts.bytes(mappings.get(at).from));
            Texts.set(rules[at].to, Texts.bytes(mappings.get(at).to));
            ((Structure) rules[at]).write();
        }
        filled.mappings = rules[0].getPointer();
        filled.mappings_count = rules.length;
        return filled;
    }
}
