"""The constants, structs and functions of plexindex.h, for ctypes. Generated from include/plexindex.json by `make header`."""

from ctypes import CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_void_p, py_object
from ctypes import c_int32, c_int64, c_size_t, c_uint32, c_uint64

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

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
QUERY_NO_SIZE = 16
QUERY_FILE = 32
TABLE_FOLD_ASCII = 1
TABLE_LIMIT_ALL = 2
RECORD_THROUGH = 1
SELECT_ANY = 0
SELECT_TITLE = 1
SELECT_SECTION = 2
SELECT_UUID = 3
SELECT_ALL = 4
ANSWER_STALE = 1
ITEM_KEY_ONLY = 2
FILE_OPTIMIZED = 1
LOG_ERROR = 1
LOG_WARN = 2
LOG_INFO = 3
LOG_DEBUG = 4
# Statuses. From FIRST_ERROR on, they are errors.
FIRST_ERROR = 100
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
STATUS_NAMES = {0: 'ok', 1: 'not_found', 2: 'ambiguous', 3: 'not_yet', 4: 'needs_warm', 100: 'invalid_argument', 101: 'null_pointer', 102: 'unsupported', 103: 'buffer_too_small', 104: 'aborted', 105: 'panic', 200: 'store', 201: 'store_full', 300: 'connect', 301: 'tls', 302: 'unauthorized', 303: 'forbidden', 304: 'not_on_server', 305: 'not_plex', 306: 'starting', 307: 'bad_answer', 308: 'server_error', 309: 'timeout', 310: 'redirected', 311: 'offline', 400: 'library_not_found', 401: 'library_ambiguous', 402: 'list_again', 403: 'not_fetched'}
# Names by number. None is a reserved number.
MATCH_KINDS = ('none', 'confirmed', 'exact', 'mapped', 'suffix', 'file_name')
CONFIDENCES = ('none', 'low', 'high')
REASONS = ('none', 'no_location', 'not_listed', 'not_fetched', 'several_items', 'several_libraries', 'unconfirmed', 'only_root_differs', None, None, None, 'several_episodes', 'empty', 'above_locations', 'unavailable', 'not_asked', 'same_name', 'same_file', 'size_differs', 'same_size')
REQUESTS = ('identity', 'probe', 'page', 'delta', 'find_path', 'confirm', 'scan', 'events')
KINDS = {1: 'movie', 2: 'show', 3: 'season', 4: 'episode', 8: 'artist', 9: 'album', 10: 'track', 12: 'clip', 13: 'photo'}
# Offsets in bytes.
ANSWERS = {'size': 0, 'answer_size': 4, 'item_size': 8, 'count': 12, 'first': 16, 'log_lines': 20, 'file_size': 24, 'reserved': 28}
ANSWER = {'status': 0, 'match_kind': 4, 'confidence': 5, 'reason': 6, 'flags': 7, 'item': 8, 'candidates': 12, 'candidates_count': 16, 'candidates_total': 20, 'message': 24, 'age_ms': 32}
ITEM = {'key': 0, 'rating_key': 8, 'title': 16, 'guid': 24, 'show_title': 32, 'show_rating_key': 40, 'show_guid': 48, 'path': 56, 'section': 64, 'library_title': 72, 'kind': 80, 'year': 84, 'season': 88, 'episode': 92, 'flags': 96, 'file': 100}
FILE = {'size_bytes': 0, 'part_id': 8, 'media_id': 16, 'duration_ms': 24, 'part': 32, 'parts': 36, 'version': 40, 'versions': 44, 'resolution': 48, 'container': 56, 'flags': 64, 'reserved': 68}
ITEM_TEXTS = ('key', 'rating_key', 'title', 'guid', 'show_title', 'show_rating_key', 'show_guid', 'path', 'section', 'library_title')
# `user` is a Python object. Callbacks get other addresses as numbers: ctypes creates no object for them.
RENEW_TOKEN_FN = CFUNCTYPE(c_int32, py_object, c_size_t)
PROGRESS_FN = CFUNCTYPE(c_int32, py_object, c_size_t)
LOG_FN = CFUNCTYPE(None, py_object, c_int32, c_size_t, c_size_t)
class CBytes(Structure): _fields_ = [("data", c_char_p), ("length", c_size_t)]
class CMapping(Structure): _fields_ = [("kind", c_int32), ("reserved", c_uint32), ("from", CBytes), ("to", CBytes)]
class CBuffer(Structure): _fields_ = [("data", c_void_p), ("capacity", c_size_t), ("length", c_size_t)]
class COptions(Structure): _fields_ = [("size", c_size_t), ("cache_dir", CBytes), ("server_url", CBytes), ("token", CBytes), ("user", CBytes), ("ca_file", CBytes), ("library_ttl_ms", c_int64), ("max_age_ms", c_int64), ("timeout_ms", c_int64), ("connect_timeout_ms", c_int64), ("read_timeout_ms", c_int64), ("retry_ms", c_int64), ("matches_limit", c_uint64), ("flags", c_uint32), ("page_size", c_uint32), ("log_level", c_int32), ("reserved", c_uint32), ("mappings", POINTER(CMapping)), ("mappings_count", c_size_t), ("slow_ms", c_int64), ("size_limit", c_uint64), ("database", CBytes), ("renew_token", RENEW_TOKEN_FN), ("renew_token_user", py_object), ("shared", CBytes), ("stale_answer_timeout_ms", c_int64)]
class CProgress(Structure): _fields_ = [("size", c_size_t), ("library_data", c_void_p), ("library_length", c_size_t), ("items", c_uint64), ("total", c_uint64), ("elapsed_ms", c_uint64)]
class CQuery(Structure): _fields_ = [("size", c_size_t), ("library", c_void_p), ("text_data", c_char_p), ("text_length", c_size_t), ("timeout_ms", c_int64), ("flags", c_uint32), ("reserved", c_uint32), ("progress", PROGRESS_FN), ("progress_user", py_object), ("file_size", c_uint64)]
class CStats(Structure): _fields_ = [("size", c_size_t), ("answers", c_uint64 * 16), ("lookup_misses", c_uint64), ("stale_answers", c_uint64), ("requests", c_uint64 * 16), ("bytes_received", c_uint64), ("store_requests", c_uint64), ("store_answers", c_uint64), ("listings", c_uint64), ("network_us", c_uint64), ("store_us", c_uint64), ("segment_us", c_uint64), ("items", c_uint64), ("matches", c_uint64), ("libraries", c_uint64), ("disk_bytes", c_uint64), ("sequence", c_uint64), ("events", c_uint64), ("hints", c_uint64), ("parse_us", c_uint64), ("wait_us", c_uint64), ("match_us", c_uint64), ("calls", c_uint64), ("calls_us", c_uint64), ("slow_calls", c_uint64), ("failures", c_uint64), ("size_limit", c_uint64), ("over_limit", c_uint64), ("evictions", c_uint64), ("last_failure", c_char * 512)]
class CCallOptions(Structure): _fields_ = [("size", c_size_t), ("timeout_ms", c_int64), ("progress", PROGRESS_FN), ("progress_user", py_object)]
def _declared(function: "Any", result: "Any", *arguments: "Any") -> "Any":
    function.restype = result
    if arguments:
        function.argtypes = arguments
    return function
class Functions:
    """The functions of plexindex.h. Those of `quick` keep the interpreter's lock during a call. A function
    without declared arguments has only pointers: pass ctypes objects, bytes and None, but no numbers.
    """
    def __init__(self, library: "Any", quick: "Any") -> None:
        self.get_abi_version: Any = _declared(library.plexindex_get_abi_version, c_uint32)
        self.get_version: Any = _declared(library.plexindex_get_version, c_char_p)
        self.get_status_name: Any = _declared(library.plexindex_get_status_name, c_char_p, c_int32)
        self.open: Any = _declared(library.plexindex_open, c_int32)
        self.set_token: Any = _declared(library.plexindex_set_token, c_int32, c_void_p, c_char_p, c_size_t, c_void_p)
        self.close: Any = _declared(library.plexindex_close, c_int32)
        self.get_library: Any = _declared(library.plexindex_get_library, c_int32, c_void_p, c_int32, c_char_p, c_size_t, c_void_p, c_void_p)
        self.lookup_key: Any = _declared(quick.plexindex_lookup_key, c_char_p)
        self.lookup_keys: Any = _declared(library.plexindex_lookup_keys, c_int32, c_void_p, c_char_p, c_size_t, c_size_t, c_void_p, c_void_p)
        self.match_path: Any = _declared(library.plexindex_match_path, c_int32)
        self.match_paths: Any = _declared(library.plexindex_match_paths, c_int32, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p)
        self.record_match: Any = _declared(library.plexindex_record_match, c_int32, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_int64, c_void_p)
        self.record_matches: Any = _declared(library.plexindex_record_matches, c_int32, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_size_t, c_uint32, c_int64, c_void_p)
        self.invalidate_path: Any = _declared(library.plexindex_invalidate_path, c_int32, c_void_p, c_char_p, c_size_t, c_void_p)
        self.invalidate_item: Any = _declared(library.plexindex_invalidate_item, c_int32, c_void_p, c_char_p, c_size_t, c_void_p)
        self.invalidate_library: Any = _declared(library.plexindex_invalidate_library, c_int32)
        self.clear: Any = _declared(library.plexindex_clear, c_int32)
        self.refresh: Any = _declared(library.plexindex_refresh, c_int32)
        self.get_stats: Any = _declared(library.plexindex_get_stats, c_int32)
        self.drain_log: Any = _declared(quick.plexindex_drain_log, c_int32)
        self.call: Any = _declared(library.plexindex_call, c_int32, c_void_p, c_char_p, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p)
        self.free: Any = _declared(library.plexindex_free, None)
        self.notify: Any = _declared(library.plexindex_notify, c_int32, c_void_p, c_char_p, c_size_t, c_void_p)
        self.wake_waiting: Any = _declared(library.plexindex_wake_waiting, c_int32)
        self.get_table: Any = _declared(library.plexindex_get_table, c_int32, c_void_p, c_char_p, c_size_t, c_uint32, c_void_p, c_void_p)
        self.table_lookup: Any = _declared(quick.plexindex_table_lookup, c_int32)
        self.table_get: Any = _declared(library.plexindex_table_get, c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p)
        self.table_put: Any = _declared(library.plexindex_table_put, c_int32, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_int64, c_uint64, c_void_p)
        self.table_remove: Any = _declared(library.plexindex_table_remove, c_int32, c_void_p, c_char_p, c_size_t, c_void_p)
        self.table_get_next: Any = _declared(library.plexindex_table_get_next, c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p)
