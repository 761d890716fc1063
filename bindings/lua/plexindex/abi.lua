-- Made from include/plexindex.json by `make header`.
local ffi = require("ffi")
ffi.cdef[[
typedef struct plexindex_handle plexindex_handle;
typedef struct plexindex_library_handle plexindex_library_handle;
typedef struct plexindex_table_handle plexindex_table_handle;
typedef struct plexindex_bytes plexindex_bytes;
typedef struct plexindex_mapping plexindex_mapping;
typedef struct plexindex_buffer plexindex_buffer;
typedef struct plexindex_options plexindex_options;
typedef struct plexindex_progress plexindex_progress;
typedef struct plexindex_query plexindex_query;
typedef struct plexindex_text plexindex_text;
typedef struct plexindex_answer plexindex_answer;
typedef struct plexindex_item plexindex_item;
typedef struct plexindex_stats plexindex_stats;
typedef struct plexindex_call_options plexindex_call_options;
typedef struct plexindex_table_op plexindex_table_op;
typedef struct plexindex_answers plexindex_answers;
typedef int32_t (*plexindex_renew_token_fn)(void * user, plexindex_buffer * token);
typedef int32_t (*plexindex_progress_fn)(void * user, const plexindex_progress * progress);
typedef void (*plexindex_log_fn)(void * user, int32_t level, const char * message, size_t length);
struct plexindex_bytes {
  const char * data;
  size_t length;
};
struct plexindex_mapping {
  int32_t kind;
  uint32_t reserved;
  plexindex_bytes from;
  plexindex_bytes to;
};
struct plexindex_buffer {
  void * data;
  size_t capacity;
  size_t length;
};
struct plexindex_options {
  size_t size;
  plexindex_bytes cache_dir;
  plexindex_bytes server_url;
  plexindex_bytes token;
  plexindex_bytes user;
  plexindex_bytes ca_file;
  int64_t library_ttl_ms;
  int64_t max_age_ms;
  int64_t deadline_ms;
  int64_t connect_timeout_ms;
  int64_t read_timeout_ms;
  int64_t retry_ms;
  uint64_t matches_limit;
  uint32_t flags;
  uint32_t page_size;
  int32_t log_level;
  uint32_t reserved;
  const plexindex_mapping * mappings;
  size_t mappings_count;
  int64_t slow_ms;
  uint64_t size_limit;
  plexindex_bytes database;
  plexindex_renew_token_fn renew_token;
  void * renew_token_user;
  plexindex_bytes shared;
  int64_t shared_retry_ms;
};
struct plexindex_progress {
  size_t size;
  plexindex_bytes library;
  uint64_t items;
  uint64_t total;
  uint64_t elapsed_ms;
};
struct plexindex_query {
  size_t size;
  const plexindex_library_handle * library;
  plexindex_bytes text;
  int64_t deadline_ms;
  uint32_t flags;
  uint32_t reserved;
  plexindex_progress_fn progress;
  void * progress_user;
};
struct plexindex_text {
  uint32_t offset;
  uint32_t length;
};
struct plexindex_answer {
  int32_t status;
  uint8_t match_kind;
  uint8_t confidence;
  uint8_t reason;
  uint8_t flags;
  uint32_t item;
  uint32_t candidates;
  uint32_t candidates_count;
  uint32_t candidates_total;
  plexindex_text message;
  int64_t age_ms;
};
struct plexindex_item {
  plexindex_text key;
  plexindex_text rating_key;
  plexindex_text title;
  plexindex_text guid;
  plexindex_text show_title;
  plexindex_text show_rating_key;
  plexindex_text show_guid;
  plexindex_text path;
  plexindex_text section;
  plexindex_text library_title;
  int32_t kind;
  int32_t year;
  int32_t season;
  int32_t episode;
  uint32_t flags;
  uint32_t reserved;
};
struct plexindex_stats {
  size_t size;
  uint64_t answers[6];
  uint64_t lookup_misses;
  uint64_t stale_answers;
  uint64_t requests[8];
  uint64_t bytes_received;
  uint64_t store_requests;
  uint64_t store_answers;
  uint64_t listings;
  uint64_t network_us;
  uint64_t store_us;
  uint64_t segment_us;
  uint64_t items;
  uint64_t matches;
  uint64_t libraries;
  uint64_t disk_bytes;
  uint64_t sequence;
  uint64_t events;
  uint64_t hints;
  uint64_t parse_us;
  uint64_t wait_us;
  uint64_t match_us;
  uint64_t calls;
  uint64_t calls_us;
  uint64_t slow_calls;
  uint64_t failures;
  uint64_t size_limit;
  uint64_t over_limit;
  uint64_t evictions;
  char last_failure[512];
};
struct plexindex_call_options {
  size_t size;
  int64_t deadline_ms;
  plexindex_progress_fn progress;
  void * progress_user;
};
struct plexindex_table_op {
  int32_t kind;
  uint32_t reserved;
  const plexindex_table_handle * table;
  plexindex_bytes name;
  plexindex_bytes value;
};
struct plexindex_answers {
  uint32_t size;
  uint32_t answer_size;
  uint32_t item_size;
  uint32_t count;
  uint32_t first;
  uint32_t log_lines;
};
uint32_t plexindex_get_abi_version(void);
const char * plexindex_get_version(void);
const char * plexindex_get_status_name(int32_t status);
int32_t plexindex_open(const plexindex_options * options, plexindex_handle ** out_handle, plexindex_buffer * error);
int32_t plexindex_set_token(const plexindex_handle * handle, const char * token, size_t token_length, plexindex_buffer * error);
int32_t plexindex_close(plexindex_handle * handle, plexindex_buffer * error);
int32_t plexindex_get_library(const plexindex_handle * handle, int32_t kind, const char * selector, size_t selector_length, const plexindex_library_handle ** out_library, plexindex_buffer * error);
const char * plexindex_lookup_key(const plexindex_library_handle * library, const char * path);
int32_t plexindex_lookup_keys(const plexindex_library_handle * library, const char * paths, size_t paths_length, size_t count, plexindex_buffer * out_keys, plexindex_buffer * error);
int32_t plexindex_match_path(const plexindex_handle * handle, const plexindex_query * query, plexindex_buffer * out_answer, plexindex_buffer * error);
int32_t plexindex_match_paths(const plexindex_handle * handle, const plexindex_query * query, size_t count, plexindex_buffer * out_answers, plexindex_buffer * error);
size_t plexindex_count_answers(const plexindex_buffer * block);
const plexindex_answer * plexindex_get_answer(const plexindex_buffer * block, size_t place);
const plexindex_item * plexindex_get_item(const plexindex_buffer * block, const plexindex_answer * answer);
const plexindex_item * plexindex_get_candidate(const plexindex_buffer * block, const plexindex_answer * answer, size_t place);
const char * plexindex_get_text(const plexindex_buffer * block, const plexindex_text * text);
int32_t plexindex_record_match(const plexindex_library_handle * library, const char * path, size_t path_length, const char * key, size_t key_length, int64_t deadline_ms, plexindex_buffer * error);
int32_t plexindex_record_matches(const plexindex_library_handle * library, const char * paths, size_t paths_length, const char * keys, size_t keys_length, size_t count, uint32_t flags, int64_t deadline_ms, plexindex_buffer * error);
int32_t plexindex_invalidate_path(const plexindex_library_handle * library, const char * path, size_t path_length, plexindex_buffer * error);
int32_t plexindex_invalidate_item(const plexindex_library_handle * library, const char * key, size_t key_length, plexindex_buffer * error);
int32_t plexindex_invalidate_library(const plexindex_library_handle * library, plexindex_buffer * error);
int32_t plexindex_clear(const plexindex_handle * handle, plexindex_buffer * error);
int32_t plexindex_refresh(const plexindex_handle * handle, const plexindex_query * query, plexindex_buffer * error);
int32_t plexindex_get_stats(const plexindex_handle * handle, plexindex_stats * out_stats, plexindex_buffer * error);
int32_t plexindex_drain_log(plexindex_log_fn receive, void * user, plexindex_buffer * error);
int32_t plexindex_call(const plexindex_handle * handle, const char * method, const char * request, size_t request_length, const plexindex_call_options * options, char ** out_json, plexindex_buffer * error);
void plexindex_free(char * json);
int32_t plexindex_notify(const plexindex_handle * handle, const char * body, size_t body_length, plexindex_buffer * error);
int32_t plexindex_wake_waiting(const plexindex_handle * handle, plexindex_buffer * error);
int32_t plexindex_get_table(const plexindex_handle * handle, const char * name, size_t name_length, uint32_t flags, const plexindex_table_handle ** out_table, plexindex_buffer * error);
int32_t plexindex_table_lookup(const plexindex_table_handle * table, const char * name, const char ** out_value);
int32_t plexindex_table_get(const plexindex_table_handle * table, const char * name, size_t name_length, plexindex_buffer * out_value, plexindex_buffer * error);
int32_t plexindex_table_put(const plexindex_table_handle * table, const char * name, size_t name_length, const char * value, size_t value_length, int64_t ttl_ms, uint64_t limit, plexindex_buffer * error);
int32_t plexindex_table_remove(const plexindex_table_handle * table, const char * name, size_t name_length, plexindex_buffer * error);
int32_t plexindex_table_write(const plexindex_handle * handle, const plexindex_table_op * ops, size_t count, int64_t ttl_ms, uint64_t limit, plexindex_buffer * error);
int32_t plexindex_table_get_next(const plexindex_table_handle * table, const char * after, size_t after_length, plexindex_buffer * out_name, plexindex_buffer * error);
]]

local abi = { constants = {}, statuses = {}, structs = {} }
abi.constants.ABI_VERSION = 1
abi.constants.TTL_AT_ONCE = -1
abi.constants.TTL_NEVER = -2
abi.constants.NO_DEADLINE = -1
abi.constants.NO_RETRY = -1
abi.constants.NEVER_SLOW = -1
abi.constants.OPEN_OFFLINE = 1
abi.constants.OPEN_ACCEPT_INVALID_CERTS = 2
abi.constants.OPEN_NO_MMAP = 4
abi.constants.OPEN_OBFUSCATE_PATHS = 8
abi.constants.OPEN_SHARED_DURABLE = 16
abi.constants.MAPPING_HOST_PREFIX = 1
abi.constants.MAPPING_HOST_PATTERN = 2
abi.constants.MAPPING_SERVER_PREFIX = 3
abi.constants.MAPPING_SERVER_PATTERN = 4
abi.constants.QUERY_OFFLINE = 1
abi.constants.QUERY_FULL = 2
abi.constants.QUERY_AT_ONCE = 4
abi.constants.QUERY_PROBE = 8
abi.constants.TABLE_FOLD_ASCII = 1
abi.constants.TABLE_PUT = 1
abi.constants.TABLE_REMOVE = 2
abi.constants.TABLE_CLEAR = 3
abi.constants.RECORD_THROUGH = 1
abi.constants.SELECT_ANY = 0
abi.constants.SELECT_TITLE = 1
abi.constants.SELECT_SECTION = 2
abi.constants.SELECT_UUID = 3
abi.constants.SELECT_ALL = 4
abi.constants.MATCH_NONE = 0
abi.constants.MATCH_CONFIRMED = 1
abi.constants.MATCH_EXACT = 2
abi.constants.MATCH_MAPPED = 3
abi.constants.MATCH_SUFFIX = 4
abi.constants.MATCH_FILE_NAME = 5
abi.constants.CONFIDENCE_NONE = 0
abi.constants.CONFIDENCE_LOW = 1
abi.constants.CONFIDENCE_HIGH = 2
abi.constants.REASON_NONE = 0
abi.constants.REASON_NO_LOCATION = 1
abi.constants.REASON_NOT_LISTED = 2
abi.constants.REASON_NOT_FETCHED = 3
abi.constants.REASON_SEVERAL_ITEMS = 4
abi.constants.REASON_SEVERAL_LIBRARIES = 5
abi.constants.REASON_UNCONFIRMED = 6
abi.constants.REASON_ONLY_ROOT_DIFFERS = 7
abi.constants.REASON_PATH_TELLS = 8
abi.constants.REASON_NO_EVIDENCE = 9
abi.constants.REASON_CONTRADICTED = 10
abi.constants.REASON_SEVERAL_EPISODES = 11
abi.constants.REASON_EMPTY = 12
abi.constants.REASON_ABOVE_LOCATIONS = 13
abi.constants.REASON_UNAVAILABLE = 14
abi.constants.ANSWER_STALE = 1
abi.constants.ITEM_PATH_NOT_UTF8 = 1
abi.constants.ITEM_KEY_ONLY = 2
abi.constants.KIND_OTHER = 0
abi.constants.KIND_MOVIE = 1
abi.constants.KIND_SHOW = 2
abi.constants.KIND_SEASON = 3
abi.constants.KIND_EPISODE = 4
abi.constants.KIND_ARTIST = 8
abi.constants.KIND_ALBUM = 9
abi.constants.KIND_TRACK = 10
abi.constants.KIND_CLIP = 12
abi.constants.KIND_PHOTO = 13
abi.constants.REQUEST_IDENTITY = 0
abi.constants.REQUEST_PROBE = 1
abi.constants.REQUEST_PAGE = 2
abi.constants.REQUEST_DELTA = 3
abi.constants.REQUEST_FIND_PATH = 4
abi.constants.REQUEST_CONFIRM = 5
abi.constants.REQUEST_EDIT = 6
abi.constants.REQUEST_EVENTS = 7
abi.constants.LOG_OFF = -1
abi.constants.LOG_ERROR = 1
abi.constants.LOG_WARN = 2
abi.constants.LOG_INFO = 3
abi.constants.LOG_DEBUG = 4
abi.statuses.OK = 0
abi.statuses.NOT_FOUND = 1
abi.statuses.AMBIGUOUS = 2
abi.statuses.NOT_YET = 3
abi.statuses.NEEDS_WARM = 4
abi.statuses.INVALID_ARGUMENT = 100
abi.statuses.NULL_POINTER = 101
abi.statuses.UNSUPPORTED = 102
abi.statuses.BUFFER_TOO_SMALL = 103
abi.statuses.ABORTED = 104
abi.statuses.PANIC = 105
abi.statuses.STORE = 200
abi.statuses.STORE_FULL = 201
abi.statuses.CONNECT = 300
abi.statuses.TLS = 301
abi.statuses.UNAUTHORIZED = 302
abi.statuses.FORBIDDEN = 303
abi.statuses.NOT_ON_SERVER = 304
abi.statuses.NOT_PLEX = 305
abi.statuses.STARTING = 306
abi.statuses.BAD_ANSWER = 307
abi.statuses.SERVER_ERROR = 308
abi.statuses.TIMEOUT = 309
abi.statuses.REDIRECTED = 310
abi.statuses.OFFLINE = 311
abi.statuses.LIBRARY_NOT_FOUND = 400
abi.statuses.LIBRARY_AMBIGUOUS = 401
abi.statuses.LIST_AGAIN = 402
abi.statuses.NOT_FETCHED = 403
-- The fields of each struct, in order.
abi.structs.plexindex_bytes = { "data", "length" }
abi.structs.plexindex_mapping = { "kind", "reserved", "from", "to" }
abi.structs.plexindex_buffer = { "data", "capacity", "length" }
abi.structs.plexindex_options = { "size", "cache_dir", "server_url", "token", "user", "ca_file", "library_ttl_ms", "max_age_ms", "deadline_ms", "connect_timeout_ms", "read_timeout_ms", "retry_ms", "matches_limit", "flags", "page_size", "log_level", "reserved", "mappings", "mappings_count", "slow_ms", "size_limit", "database", "renew_token", "renew_token_user", "shared", "shared_retry_ms" }
abi.structs.plexindex_progress = { "size", "library", "items", "total", "elapsed_ms" }
abi.structs.plexindex_query = { "size", "library", "text", "deadline_ms", "flags", "reserved", "progress", "progress_user" }
abi.structs.plexindex_text = { "offset", "length" }
abi.structs.plexindex_answer = { "status", "match_kind", "confidence", "reason", "flags", "item", "candidates", "candidates_count", "candidates_total", "message", "age_ms" }
abi.structs.plexindex_item = { "key", "rating_key", "title", "guid", "show_title", "show_rating_key", "show_guid", "path", "section", "library_title", "kind", "year", "season", "episode", "flags", "reserved" }
abi.structs.plexindex_stats = { "size", "answers", "lookup_misses", "stale_answers", "requests", "bytes_received", "store_requests", "store_answers", "listings", "network_us", "store_us", "segment_us", "items", "matches", "libraries", "disk_bytes", "sequence", "events", "hints", "parse_us", "wait_us", "match_us", "calls", "calls_us", "slow_calls", "failures", "size_limit", "over_limit", "evictions", "last_failure" }
abi.structs.plexindex_call_options = { "size", "deadline_ms", "progress", "progress_user" }
abi.structs.plexindex_table_op = { "kind", "reserved", "table", "name", "value" }
abi.structs.plexindex_answers = { "size", "answer_size", "item_size", "count", "first", "log_lines" }
return abi
