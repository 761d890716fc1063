"""A test that passes and leaks an open handle: the leak check has to see it when pytest ends."""

import ctypes
from pathlib import Path

import plexindex


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("cache_dir", Bytes)]


def test_planted(tmp_path: Path) -> None:
    library = ctypes.CDLL(str(next(Path(plexindex.__file__).parent.glob("libplexindex.so"))))
    folder = str(tmp_path / "store").encode()
    handle = ctypes.c_void_p()
    options = Options(24, Bytes(folder, len(folder)))
    assert library.plexindex_open(ctypes.byref(options), ctypes.byref(handle), None) == 0
    handle.value = None
