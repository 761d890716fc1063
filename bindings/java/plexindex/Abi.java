// Made from include/plexindex.json by `make header`, for 64 bits.
package plexindex;

import com.sun.jna.*;
import com.sun.jna.Structure.FieldOrder;
import com.sun.jna.ptr.*;

/** The C ABI of plexindex, as it is. */
public interface Abi extends com.sun.jna.Library {
    int ABI_VERSION = 1;
    int TTL_AT_ONCE = -1;
    int TTL_NEVER = -2;
    int NO_DEADLINE = -1;
    int NO_RETRY = -1;
    int NEVER_SLOW = -1;
    int OPEN_OFFLINE = 1;
    int OPEN_ACCEPT_INVALID_CERTS = 2;
    int OPEN_NO_MMAP = 4;
    int OPEN_OBFUSCATE_PATHS = 8;
    int OPEN_SHARED_DURABLE = 16;
    int MAPPING_HOST_PREFIX = 1;
    int MAPPING_HOST_PATTERN = 2;
    int MAPPING_SERVER_PREFIX = 3;
    int MAPPING_SERVER_PATTERN = 4;
    int QUERY_OFFLINE = 1;
    int QUERY_FULL = 2;
    int QUERY_AT_ONCE = 4;
    int QUERY_PROBE = 8;
    int TABLE_FOLD_ASCII = 1;
    int TABLE_PUT = 1;
    int TABLE_REMOVE = 2;
    int TABLE_CLEAR = 3;
    int RECORD_THROUGH = 1;
    int SELECT_ANY = 0;
    int SELECT_TITLE = 1;
    int SELECT_SECTION = 2;
    int SELECT_UUID = 3;
    int SELECT_ALL = 4;
    int MATCH_NONE = 0;
    int MATCH_CONFIRMED = 1;
    int MATCH_EXACT = 2;
    int MATCH_MAPPED = 3;
    int MATCH_SUFFIX = 4;
    int MATCH_FILE_NAME = 5;
    int CONFIDENCE_NONE = 0;
    int CONFIDENCE_LOW = 1;
    int CONFIDENCE_HIGH = 2;
    int REASON_NONE = 0;
    int REASON_NO_LOCATION = 1;
    int REASON_NOT_LISTED = 2;
    int REASON_NOT_FETCHED = 3;
    int REASON_SEVERAL_ITEMS = 4;
    int REASON_SEVERAL_LIBRARIES = 5;
    int REASON_UNCONFIRMED = 6;
    int REASON_ONLY_ROOT_DIFFERS = 7;
    int REASON_PATH_TELLS = 8;
    int REASON_NO_EVIDENCE = 9;
    int REASON_CONTRADICTED = 10;
    int REASON_SEVERAL_EPISODES = 11;
    int REASON_EMPTY = 12;
    int REASON_ABOVE_LOCATIONS = 13;
    int REASON_UNAVAILABLE = 14;
    int ANSWER_STALE = 1;
    int ITEM_PATH_NOT_UTF8 = 1;
    int ITEM_KEY_ONLY = 2;
    int KIND_OTHER = 0;
    int KIND_MOVIE = 1;
    int KIND_SHOW = 2;
    int KIND_SEASON = 3;
    int KIND_EPISODE = 4;
    int KIND_ARTIST = 8;
    int KIND_ALBUM = 9;
    int KIND_TRACK = 10;
    int KIND_CLIP = 12;
    int KIND_PHOTO = 13;
    int REQUEST_IDENTITY = 0;
    int REQUEST_PROBE = 1;
    int REQUEST_PAGE = 2;
    int REQUEST_DELTA = 3;
    int REQUEST_FIND_PATH = 4;
    int REQUEST_CONFIRM = 5;
    int REQUEST_EDIT = 6;
    int REQUEST_EVENTS = 7;
    int LOG_OFF = -1;
    int LOG_ERROR = 1;
    int LOG_WARN = 2;
    int LOG_INFO = 3;
    int LOG_DEBUG = 4;
    int OK = 0;
    int NOT_FOUND = 1;
    int AMBIGUOUS = 2;
    int NOT_YET = 3;
    int NEEDS_WARM = 4;
    int INVALID_ARGUMENT = 100;
    int NULL_POINTER = 101;
    int UNSUPPORTED = 102;
    int BUFFER_TOO_SMALL = 103;
    int ABORTED = 104;
    int PANIC = 105;
    int STORE = 200;
    int STORE_FULL = 201;
    int CONNECT = 300;
    int TLS = 301;
    int UNAUTHORIZED = 302;
    int FORBIDDEN = 303;
    int NOT_ON_SERVER = 304;
    int NOT_PLEX = 305;
    int STARTING = 306;
    int BAD_ANSWER = 307;
    int SERVER_ERROR = 308;
    int TIMEOUT = 309;
    int REDIRECTED = 310;
    int OFFLINE = 311;
    int LIBRARY_NOT_FOUND = 400;
    int LIBRARY_AMBIGUOUS = 401;
    int LIST_AGAIN = 402;
    int NOT_FETCHED = 403;

    @FieldOrder({"data", "length"})
    final class Bytes extends Structure {
        public Pointer data;
        public long length;
        public Bytes() { }
        public Bytes(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"kind", "reserved", "from", "to"})
    final class Mapping extends Structure {
        public int kind;
        public int reserved;
        public Bytes from;
        public Bytes to;
        public Mapping() { }
        public Mapping(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"data", "capacity", "length"})
    final class Buffer extends Structure {
        public Pointer data;
        public long capacity;
        public long length;
        public Buffer() { }
        public Buffer(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"size", "cache_dir", "server_url", "token", "user", "ca_file", "library_ttl_ms", "max_age_ms", "deadline_ms", "connect_timeout_ms", "read_timeout_ms", "retry_ms", "matches_limit", "flags", "page_size", "log_level", "reserved", "mappings", "mappings_count", "slow_ms", "size_limit", "database", "renew_token", "renew_token_user", "shared", "shared_retry_ms"})
    final class Options extends Structure {
        public long size;
        public Bytes cache_dir;
        public Bytes server_url;
        public Bytes token;
        public Bytes user;
        public Bytes ca_file;
        public long library_ttl_ms;
        public long max_age_ms;
        public long deadline_ms;
        public long connect_timeout_ms;
        public long read_timeout_ms;
        public long retry_ms;
        public long matches_limit;
        public int flags;
        public int page_size;
        public int log_level;
        public int reserved;
        public Pointer mappings;
        public long mappings_count;
        public long slow_ms;
        public long size_limit;
        public Bytes database;
        public RenewTokenFn renew_token;
        public Pointer renew_token_user;
        public Bytes shared;
        public long shared_retry_ms;
        public Options() { size = size(); }
        public Options(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"size", "library", "items", "total", "elapsed_ms"})
    final class Progress extends Structure {
        public long size;
        public Bytes library;
        public long items;
        public long total;
        public long elapsed_ms;
        public Progress() { size = size(); }
        public Progress(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"size", "library", "text", "deadline_ms", "flags", "reserved", "progress", "progress_user"})
    final class Query extends Structure {
        public long size;
        public Pointer library;
        public Bytes text;
        public long deadline_ms;
        public int flags;
        public int reserved;
        public ProgressFn progress;
        public Pointer progress_user;
        public Query() { size = size(); progress = CurrentCall.PROGRESS; }
        public Query(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"offset", "length"})
    final class Text extends Structure {
        public int offset;
        public int length;
        public Text() { }
        public Text(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"status", "match_kind", "confidence", "reason", "flags", "item", "candidates", "candidates_count", "candidates_total", "message", "age_ms"})
    final class Answer extends Structure {
        public int status;
        public byte match_kind;
        public byte confidence;
        public byte reason;
        public byte flags;
        public int item;
        public int candidates;
        public int candidates_count;
        public int candidates_total;
        public Text message;
        public long age_ms;
        public Answer() { }
        public Answer(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"key", "rating_key", "title", "guid", "show_title", "show_rating_key", "show_guid", "path", "section", "library_title", "kind", "year", "season", "episode", "flags", "reserved"})
    final class Item extends Structure {
        public Text key;
        public Text rating_key;
        public Text title;
        public Text guid;
        public Text show_title;
        public Text show_rating_key;
        public Text show_guid;
        public Text path;
        public Text section;
        public Text library_title;
        public int kind;
        public int year;
        public int season;
        public int episode;
        public int flags;
        public int reserved;
        public Item() { }
        public Item(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"size", "answers", "lookup_misses", "stale_answers", "requests", "bytes_received", "store_requests", "store_answers", "listings", "network_us", "store_us", "segment_us", "items", "matches", "libraries", "disk_bytes", "sequence", "events", "hints", "parse_us", "wait_us", "match_us", "calls", "calls_us", "slow_calls", "failures", "size_limit", "over_limit", "evictions", "last_failure"})
    final class Stats extends Structure {
        public long size;
        public long[] answers = new long[6];
        public long lookup_misses;
        public long stale_answers;
        public long[] requests = new long[8];
        public long bytes_received;
        public long store_requests;
        public long store_answers;
        public long listings;
        public long network_us;
        public long store_us;
        public long segment_us;
        public long items;
        public long matches;
        public long libraries;
        public long disk_bytes;
        public long sequence;
        public long events;
        public long hints;
        public long parse_us;
        public long wait_us;
        public long match_us;
        public long calls;
        public long calls_us;
        public long slow_calls;
        public long failures;
        public long size_limit;
        public long over_limit;
        public long evictions;
        public byte[] last_failure = new byte[512];
        public Stats() { size = size(); }
        public Stats(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"size", "deadline_ms", "progress", "progress_user"})
    final class CallOptions extends Structure {
        public long size;
        public long deadline_ms;
        public ProgressFn progress;
        public Pointer progress_user;
        public CallOptions() { size = size(); progress = CurrentCall.PROGRESS; }
        public CallOptions(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"kind", "reserved", "table", "name", "value"})
    final class TableOp extends Structure {
        public int kind;
        public int reserved;
        public Pointer table;
        public Bytes name;
        public Bytes value;
        public TableOp() { }
        public TableOp(Pointer at) { super(at); read(); }
    }

    @FieldOrder({"size", "answer_size", "item_size", "count", "first", "log_lines"})
    final class Answers extends Structure {
        public int size;
        public int answer_size;
        public int item_size;
        public int count;
        public int first;
        public int log_lines;
        public Answers() { size = size(); }
        public Answers(Pointer at) { super(at); read(); }
    }

    interface RenewTokenFn extends Callback {
        int call(Pointer user, Pointer token);
    }

    interface ProgressFn extends Callback {
        int call(Pointer user, Pointer progress);
    }

    interface LogFn extends Callback {
        void call(Pointer user, int level, Pointer message, long length);
    }

    int plexindex_get_abi_version();
    String plexindex_get_version();
    String plexindex_get_status_name(int status);
    int plexindex_open(Options options, PointerByReference out_handle, Buffer error);
    int plexindex_set_token(Pointer handle, byte[] token, long token_length, Buffer error);
    int plexindex_close(Pointer handle, Buffer error);
    int plexindex_get_library(Pointer handle, int kind, byte[] selector, long selector_length, PointerByReference out_library, Buffer error);
    String plexindex_lookup_key(Pointer library, byte[] path);
    int plexindex_lookup_keys(Pointer library, byte[] paths, long paths_length, long count, Buffer out_keys, Buffer error);
    int plexindex_match_path(Pointer handle, Query query, Buffer out_answer, Buffer error);
    int plexindex_match_paths(Pointer handle, Query query, long count, Buffer out_answers, Buffer error);
    long plexindex_count_answers(Buffer block);
    Pointer plexindex_get_answer(Buffer block, long place);
    Pointer plexindex_get_item(Buffer block, Pointer answer);
    Pointer plexindex_get_candidate(Buffer block, Pointer answer, long place);
    String plexindex_get_text(Buffer block, Pointer text);
    int plexindex_record_match(Pointer library, byte[] path, long path_length, byte[] key, long key_length, long deadline_ms, Buffer error);
    int plexindex_record_matches(Pointer library, byte[] paths, long paths_length, byte[] keys, long keys_length, long count, int flags, long deadline_ms, Buffer error);
    int plexindex_invalidate_path(Pointer library, byte[] path, long path_length, Buffer error);
    int plexindex_invalidate_item(Pointer library, byte[] key, long key_length, Buffer error);
    int plexindex_invalidate_library(Pointer library, Buffer error);
    int plexindex_clear(Pointer handle, Buffer error);
    int plexindex_refresh(Pointer handle, Query query, Buffer error);
    int plexindex_get_stats(Pointer handle, Stats out_stats, Buffer error);
    int plexindex_drain_log(LogFn receive, Pointer user, Buffer error);
    int plexindex_call(Pointer handle, byte[] method, byte[] request, long request_length, CallOptions options, PointerByReference out_json, Buffer error);
    void plexindex_free(Pointer json);
    int plexindex_notify(Pointer handle, byte[] body, long body_length, Buffer error);
    int plexindex_wake_waiting(Pointer handle, Buffer error);
    int plexindex_get_table(Pointer handle, byte[] name, long name_length, int flags, PointerByReference out_table, Buffer error);
    int plexindex_table_lookup(Pointer table, byte[] name, PointerByReference out_value);
    int plexindex_table_get(Pointer table, byte[] name, long name_length, Buffer out_value, Buffer error);
    int plexindex_table_put(Pointer table, byte[] name, long name_length, byte[] value, long value_length, long ttl_ms, long limit, Buffer error);
    int plexindex_table_remove(Pointer table, byte[] name, long name_length, Buffer error);
    int plexindex_table_write(Pointer handle, Pointer ops, long count, long ttl_ms, long limit, Buffer error);
    int plexindex_table_get_next(Pointer table, byte[] after, long after_length, Buffer out_name, Buffer error);
}
