"""The shared library: its structs and functions, as in ``plexindex.h``.

The first call that needs the library loads it, so importing the package loads no shared object.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, Structure, c_char, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

from . import TYPE_CHECKING
from . import constants as c

if TYPE_CHECKING:
    from typing import Any

# Callbacks take addresses as integers, so that ctypes creates no objects before Python runs (see callbacks.py).
PROGRESS_FN = ctypes.CFUNCTYPE(c_int32, c_size_t, c_size_t)
RENEW_TOKEN_FN = ctypes.CFUNCTYPE(c_int32, c_size_t, c_size_t)
LOG_FN = ctypes.CFUNCTYPE(None, c_size_t, c_int32, c_size_t, c_size_t)


class CBytes(Structure):
    """plexindex_bytes."""

    _fields_ = [("data", c_char_p), ("length", c_size_t)]

    @classmethod
    def of(cls, raw: bytes | None) -> CBytes:
        """Creates a struct that points to ``data``, and keeps the bytes alive."""
        return cls() if raw is None else cls(raw, len(raw))


class CMapping(Structure):
    """plexindex_mapping."""

    _fields_ = [("kind", c_int32), ("reserved", c_uint32), ("from", CBytes), ("to", CBytes)]


class COptions(Structure):
    """plexindex_options."""

    _fields_ = [
        ("size", c_size_t),
        ("cache_dir", CBytes),
        ("server_url", CBytes),
        ("token", CBytes),
        ("user", CBytes),
        ("ca_file", CBytes),
        ("library_ttl_ms", c_int64),
        ("max_age_ms", c_int64),
        ("timeout_ms", c_int64),
        ("connect_timeout_ms", c_int64),
        ("read_timeout_ms", c_int64),
        ("retry_ms", c_int64),
        ("matches_limit", c_uint64),
        ("flags", c_uint32),
        ("page_size", c_uint32),
        ("log_level", c_int32),
        ("reserved", c_uint32),
        ("mappings", POINTER(CMapping)),
        ("mappings_count", c_size_t),
        ("slow_ms", c_int64),
        ("size_limit", c_uint64),
        ("database", CBytes),
        ("renew_token", RENEW_TOKEN_FN),
        ("renew_token_user", c_void_p),
        ("shared", CBytes),
        ("shared_retry_ms", c_int64),
        ("stale_answer_timeout_ms", c_int64),
    ]


class CBuffer(Structure):
    """plexindex_buffer."""

    _fields_ = [("data", c_void_p), ("capacity", c_size_t), ("length", c_size_t)]


class CQuery(Structure):
    """plexindex_query, with two fields in place of each plexindex_bytes, which saves an attribute access."""

    _fields_ = [
        ("size", c_size_t),
        ("library", c_void_p),
        ("text_data", c_char_p),
        ("text_length", c_size_t),
        ("timeout_ms", c_int64),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("progress", PROGRESS_FN),
        ("progress_user", c_void_p),
    ]


class CProgress(Structure):
    """plexindex_progress."""

    _fields_ = [
        ("size", c_size_t),
        ("library_data", c_void_p),
        ("library_length", c_size_t),
        ("items", c_uint64),
        ("total", c_uint64),
        ("elapsed_ms", c_uint64),
    ]


class CStats(Structure):
    """plexindex_stats."""

    _fields_ = [
        ("size", c_size_t),
        ("answers", c_uint64 * len(c.MATCH_KINDS)),
        ("lookup_misses", c_uint64),
        ("stale_answers", c_uint64),
        ("requests", c_uint64 * len(c.REQUESTS)),
        ("bytes_received", c_uint64),
        ("store_requests", c_uint64),
        ("store_answers", c_uint64),
        ("listings", c_uint64),
        ("network_us", c_uint64),
        ("store_us", c_uint64),
        ("segment_us", c_uint64),
        ("items", c_uint64),
        ("matches", c_uint64),
        ("libraries", c_uint64),
        ("disk_bytes", c_uint64),
        ("sequence", c_uint64),
        ("events", c_uint64),
        ("hints", c_uint64),
        ("parse_us", c_uint64),
        ("wait_us", c_uint64),
        ("match_us", c_uint64),
        ("calls", c_uint64),
        ("calls_us", c_uint64),
        ("slow_calls", c_uint64),
        ("failures", c_uint64),
        ("size_limit", c_uint64),
        ("over_limit", c_uint64),
        ("evictions", c_uint64),
        ("last_failure", c_char * 512),
    ]


class CCallOptions(Structure):
    """plexindex_call_options."""

    _fields_ = [("size", c_size_t), ("timeout_ms", c_int64), ("progress", PROGRESS_FN), ("progress_user", c_void_p)]


class CTableOp(Structure):
    """plexindex_table_op."""

    _fields_ = [("kind", c_int32), ("reserved", c_uint32), ("table", c_void_p), ("name", CBytes), ("value", CBytes)]


_QUERY = POINTER(CQuery)
_BUFFER = POINTER(CBuffer)

# For each function, the result type and the argument types.
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "get_abi_version": (c_uint32, ()),
    "get_version": (c_char_p, ()),
    "get_status_name": (c_char_p, (c_int32,)),
    "open": (c_int32, (POINTER(COptions), POINTER(c_void_p), _BUFFER)),
    "close": (c_int32, (c_void_p, _BUFFER)),
    "set_token": (c_int32, (c_void_p, c_char_p, c_size_t, _BUFFER)),
    "get_library": (c_int32, (c_void_p, c_int32, c_char_p, c_size_t, POINTER(c_void_p), _BUFFER)),
    "lookup_key": (c_char_p, (c_void_p, c_char_p)),
    "lookup_keys": (c_int32, (c_void_p, c_char_p, c_size_t, c_size_t, _BUFFER, _BUFFER)),
    "match_path": (c_int32, (c_void_p, _QUERY, _BUFFER, _BUFFER)),
    "match_paths": (c_int32, (c_void_p, _QUERY, c_size_t, _BUFFER, _BUFFER)),
    "count_answers": (c_size_t, (_BUFFER,)),
    "get_answer": (c_void_p, (_BUFFER, c_size_t)),
    "get_item": (c_void_p, (_BUFFER, c_void_p)),
    "get_candidate": (c_void_p, (_BUFFER, c_void_p, c_size_t)),
    "get_text": (c_char_p, (_BUFFER, c_void_p)),
    "wake_waiting": (c_int32, (c_void_p, _BUFFER)),
    "record_match": (c_int32, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_int64, _BUFFER)),
    "record_matches": (
        c_int32,
        (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_size_t, c_uint32, c_int64, _BUFFER),
    ),
    "invalidate_path": (c_int32, (c_void_p, c_char_p, c_size_t, _BUFFER)),
    "invalidate_item": (c_int32, (c_void_p, c_char_p, c_size_t, _BUFFER)),
    "invalidate_library": (c_int32, (c_void_p, _BUFFER)),
    "clear": (c_int32, (c_void_p, _BUFFER)),
    "get_table": (c_int32, (c_void_p, c_char_p, c_size_t, c_uint32, POINTER(c_void_p), _BUFFER)),
    "table_lookup": (c_int32, (c_void_p, c_char_p, POINTER(c_char_p))),
    "table_get": (c_int32, (c_void_p, c_char_p, c_size_t, _BUFFER, _BUFFER)),
    "table_put": (c_int32, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_int64, c_uint64, _BUFFER)),
    "table_remove": (c_int32, (c_void_p, c_char_p, c_size_t, _BUFFER)),
    "table_write": (c_int32, (c_void_p, POINTER(CTableOp), c_size_t, c_int64, c_uint64, _BUFFER)),
    "table_get_next": (c_int32, (c_void_p, c_char_p, c_size_t, _BUFFER, _BUFFER)),
    "refresh": (c_int32, (c_void_p, _QUERY, _BUFFER)),
    "notify": (c_int32, (c_void_p, c_char_p, c_size_t, _BUFFER)),
    "get_stats": (c_int32, (c_void_p, POINTER(CStats), _BUFFER)),
    "call": (
        c_int32,
        (c_void_p, c_char_p, c_char_p, c_size_t, POINTER(CCallOptions), POINTER(c_char_p), _BUFFER),
    ),
    "free": (None, (c_char_p,)),
    "drain_log": (c_int32, (LOG_FN, c_void_p, _BUFFER)),
}


# The folder of the package, which contains the shared libraries.
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def library_path() -> str:
    """Returns the path of the shared library: PLEXINDEX_LIBRARY if set, otherwise the library in this package."""
    named = os.environ.get("PLEXINDEX_LIBRARY")
    if named:
        return named
    if sys.platform == "darwin":
        name = "libplexindex.dylib"
    elif sys.platform == "win32":
        name = "plexindex.dll"
    else:
        name = "libplexindex.so"
    return os.path.join(PACKAGE, name)


def is_whole(path: str) -> bool:
    """Returns whether an ELF file is as long as its header says. For any other file, returns whether it is not empty.

    Loading a truncated file, for example after the disk was full, can end the process with SIGBUS.
    """
    try:
        # Do not use open(), because allocating its buffers costs each new process time.
        file = os.open(path, os.O_RDONLY)
        try:
            head, length = os.read(file, 64), os.fstat(file).st_size
        finally:
            os.close(file)
    except OSError:
        return True  # the loader reports the error
    if not head.startswith(b"\x7fELF"):
        return bool(length)
    # The section table is at the end of the file. The header contains the table's offset, entry size and entry count.
    is_64_bit = head[4:5] == b"\2"
    offset_at, offset_width, sizes_at = (0x28, 8, 0x3A) if is_64_bit else (0x20, 4, 0x2E)
    table, size, count = (
        int.from_bytes(head[start : start + length_of_field], sys.byteorder)
        for start, length_of_field in ((offset_at, offset_width), (sizes_at, 2), (sizes_at + 2, 2))
    )
    return len(head) == 64 and length >= table + size * count


class Native:
    """The loaded library. Each function in SIGNATURES is an attribute, without the prefix ``plexindex_``.

    Calls release the interpreter's lock, so that other threads can run and signals can arrive during a call. The
    exceptions are the fast lookups plexindex_lookup_key() and plexindex_table_lookup(), which never block. Fast lookups
    have no argument types, because type checks would cost more than the lookup. So pass only bytes.
    """

    def __init__(self, path: str) -> None:
        """Loads the library at ``path``. Raises ImportError if loading fails."""
        self.path = path
        try:
            if not is_whole(path):
                raise OSError(f"{path} is truncated: reinstall plexindex")
            library = ctypes.CDLL(path)
        except OSError as error:
            raise ImportError(_cannot_load(path, error)) from None
        try:
            self._check_version(library)
            for name, (result, arguments) in SIGNATURES.items():
                function = library[f"plexindex_{name}"]
                function.restype, function.argtypes = result, arguments
                setattr(self, name, function)
        except AttributeError as error:
            raise ImportError(f"{path} is not the plexindex library that this package needs: {error}") from None
        fast = ctypes.PyDLL(path, handle=library._handle)
        self.fast_lookup: Any = fast["plexindex_lookup_key"]
        self.fast_table_lookup: Any = fast["plexindex_table_lookup"]
        self.fast_lookup.restype = c_char_p

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @staticmethod
    def _check_version(library: ctypes.CDLL) -> None:
        abi_version, version = library["plexindex_get_abi_version"], library["plexindex_get_version"]
        abi_version.restype, version.restype = c_uint32, c_char_p
        found = abi_version()
        if found != c.ABI_VERSION:
            number = (version() or b"?").decode("utf-8", "replace")
            raise ImportError(
                f"{library._name} (plexindex {number}) has ABI version {found}, "
                f"but this Python package needs ABI version {c.ABI_VERSION}: install matching versions"
                + (", or unset PLEXINDEX_LIBRARY" if os.environ.get("PLEXINDEX_LIBRARY") else "")
            )


def _cannot_load(path: str, error: OSError) -> str:
    if os.environ.get("PLEXINDEX_LIBRARY"):
        return f"cannot load the library in PLEXINDEX_LIBRARY: {error}"
    if not os.path.exists(path):
        return f"cannot find the plexindex library at {path}: reinstall plexindex, or set PLEXINDEX_LIBRARY"
    why = str(error).rstrip(".")
    return f"cannot load the plexindex library: {why}. Is the wheel for a different processor or C library?"


_native: Native | None = None


def load() -> Native:
    """Returns the library, which the first call loads. Two threads can both load the library without harm."""
    global _native
    if _native is None:
        _native = Native(library_path())
    return _native
