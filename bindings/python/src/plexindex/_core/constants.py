"""The numbers of the C ABI. They mirror the headers in ``include``; ``tests/python/test_header.py`` compares them."""

ABI_VERSION = 1

TTL_AT_ONCE = -1
TTL_NEVER = -2
NO_TIMEOUT = -1
NO_RETRY = -1
NEVER_SLOW = -1

OPEN_OFFLINE = 1
OPEN_ACCEPT_INVALID_CERTS = 2
OPEN_NO_MMAP = 4
OPEN_OBFUSCATE_PATHS = 8
OPEN_SHARED_DURABLE = 16

MAPPING_HOST_PREFIX = 1
MAPPING_HOST_PATTERN = 2
MAPPING_SERVER_PREFIX = 3
MAPPING_SERVER_PATTERN = 4

QUERY_OFFLINE = 1
QUERY_FULL = 2
QUERY_AT_ONCE = 4
QUERY_PROBE = 8
RECORD_THROUGH = 1

SELECT_ANY = 0
SELECT_TITLE = 1
SELECT_SECTION = 2
SELECT_UUID = 3
SELECT_ALL = 4

ANSWER_STALE = 1

ITEM_PATH_NOT_UTF8 = 1
ITEM_KEY_ONLY = 2

TABLE_FOLD_ASCII = 1

TABLE_PUT = 1
TABLE_REMOVE = 2
TABLE_CLEAR = 3

LOG_OFF = -1
LOG_ERROR = 1
LOG_WARN = 2
LOG_INFO = 3
LOG_DEBUG = 4

_not_statuses = {*globals(), "_not_statuses"}
# The values of plexindex_status. Values from FIRST_ERROR on are errors.
OK = 0
NOT_FOUND = 1
AMBIGUOUS = 2
NOT_YET = 3
NEEDS_WARM = 4
INVALID_ARGUMENT = 100
NULL_POINTER = 101
UNSUPPORTED = 102
BUFFER_TOO_SMALL = 103
ABORTED = 104
PANIC = 105
STORE = 200
STORE_FULL = 201
CONNECT = 300
TLS = 301
UNAUTHORIZED = 302
FORBIDDEN = 303
NOT_ON_SERVER = 304
NOT_PLEX = 305
STARTING = 306
BAD_ANSWER = 307
SERVER_ERROR = 308
TIMEOUT = 309
REDIRECTED = 310
OFFLINE = 311
LIBRARY_NOT_FOUND = 400
LIBRARY_AMBIGUOUS = 401
LIST_AGAIN = 402
NOT_FETCHED = 403

STATUS_NAMES: "dict[int, str]" = {
    number: name.lower() for name, number in list(globals().items()) if name not in _not_statuses
}
FIRST_ERROR = 100

# Python's names for the numbers. The index is the number. None is a reserved number.
MATCH_KINDS = ("none", "confirmed", "exact", "mapped", "suffix", "file_name")
CONFIDENCES = ("none", "low", "high")
REASONS = ("none", "no_location", "not_listed", "not_fetched", "several_items", "several_libraries", "unconfirmed",
           "only_root_differs", *[None] * 3, "several_episodes", "empty", "above_locations", "unavailable", "not_asked",
           "same_name")  # fmt: skip
REQUESTS = ("identity", "probe", "page", "delta", "find_path", "confirm", "edit", "events")

# Plex's numbers for the types that have files, and for the types that a folder can be.
KINDS = {1: "movie", 4: "episode", 10: "track", 12: "clip", 13: "photo",
         2: "show", 3: "season", 8: "artist", 9: "album"}  # fmt: skip
