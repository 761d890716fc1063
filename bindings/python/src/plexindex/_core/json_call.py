"""Calls methods by name through plexindex_call(), with JSON requests and answers. In a request, paths are bytes."""

from __future__ import annotations

from binascii import b2a_base64
from ctypes import byref, c_char_p

# The package imports this module on the first request, because importing json takes longer than most lookups.
from json import JSONDecoder, JSONEncoder

from . import Any, convert
from .callbacks import Call, take
from .native import load
from .session import Handle


def _plain(value: object) -> object:
    """Converts bytes to the JSON value that the library expects for a path."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"bytes": b2a_base64(value, newline=False).decode()}
    raise TypeError(f"a request cannot contain a value of type {type(value).__name__}: {value!r}")


_encode = JSONEncoder(default=_plain, ensure_ascii=False, check_circular=False).encode
# `json.loads` would be slower, because it first detects the encoding and skips white space.
_decode = JSONDecoder().raw_decode


def ask(call: Call, handle: Handle | None, method: str, request: dict[str, Any], timeout_ms: int) -> Any:
    """Calls a method, and returns its answer."""
    native = load()
    given = {name: value for name, value in request.items() if value is not None}
    name = convert.text_bytes("method", method)
    raw = convert.only_text("request", _encode(given), hidden=True) if given else b""
    answer = c_char_p()
    try:
        call.options.timeout_ms = timeout_ms
        call.run(native.call, handle, name, raw, len(raw), byref(call.options), byref(answer))
        return _decode((answer.value or b"").decode())[0]
    finally:
        native.free(answer)


def ask_without_index(method: str, request: dict[str, Any]) -> Any:
    """Calls a method that needs no index, and returns its answer."""
    with take() as call, call.lock:
        return ask(call, None, method, request, 0)
