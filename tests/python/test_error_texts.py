"""The text of an error is that of its own call, however many calls fail at once and whatever threads they are on."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import plexindex
import pytest
from plexindex import _calls, _native
from plexindex import _constants as c

CALLS = 100


def test_a_hundred_calls_that_fail_at_once_have_their_own_texts(index: plexindex.Index) -> None:
    barrier = threading.Barrier(CALLS)

    def fail(number: int) -> str:
        barrier.wait(timeout=30)
        with pytest.raises(plexindex.InvalidArgumentError) as raised:
            index.invalidate_item(f"no/such/{number}!", "Movies")
        return str(raised.value)

    with ThreadPoolExecutor(CALLS) as pool:
        texts = list(pool.map(fail, range(CALLS)))
    assert all(f"'no/such/{number}!'" in text for number, text in enumerate(texts))


def test_tasks_have_their_own_texts(index: plexindex.Index) -> None:
    async def fail(number: int) -> str:
        try:
            await index.ainvalidate_item(f"no/such/{number}!", "Movies")
        except plexindex.InvalidArgumentError as error:
            return str(error)
        return "no error"

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*map(fail, range(CALLS)))

    texts = asyncio.run(all_of_them())
    assert all(f"'no/such/{number}!'" in text for number, text in enumerate(texts))


def test_a_buffer_of_the_caller_s_is_read_on_any_thread(index: plexindex.Index) -> None:
    native: Any = _native.load()
    library = index.library("Movies")._selected.pointer
    memory = [ctypes.create_string_buffer(512) for _ in range(CALLS)]
    errors = [_native.CBuffer(ctypes.addressof(text), 512, 0) for text in memory]

    def fail(number: int) -> int:
        key = f"no/such/{number}!".encode()
        status: int = native.invalidate_item(library, key, len(key), ctypes.byref(errors[number]))
        return status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(fail, range(CALLS)))
    assert set(statuses) == {c.INVALID_ARGUMENT}
    for number, (text, error) in enumerate(zip(memory, errors)):
        assert f"'no/such/{number}!'".encode() in text.value
        assert error.length == len(text.value)
    # Too small: what fits, and the whole length.
    small = ctypes.create_string_buffer(12)
    error = _native.CBuffer(ctypes.addressof(small), 12, 0)
    native.invalidate_item(library, b"no/such/0!", 10, ctypes.byref(error))
    assert small.raw[-4:] == "…".encode() + b"\0"
    assert error.length == errors[0].length


def test_another_failure_between_a_call_and_its_text_is_not_taken_for_it(
    index: plexindex.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finaliser runs between any two steps of Python, and may fail on the same thread."""
    native: Any = _native.load()
    real = _calls.Call.error_text

    class Fails:
        def __del__(self) -> None:
            native.clear(None, None)

    def interrupted(call: _calls.Call) -> bytes:
        Fails()
        gc.collect()
        return real(call)

    monkeypatch.setattr(_calls.Call, "error_text", interrupted)
    with pytest.raises(plexindex.InvalidArgumentError, match="no/such/thing"):
        index.invalidate_item("no/such/thing", "Movies")
