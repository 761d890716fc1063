"""Handles of libraries and tables. Closing the index clears them, so that no fast lookup uses a freed handle."""

from __future__ import annotations

from ctypes import c_void_p


class Handle:
    """A library's or table's C handle, in memory that closing the index overwrites with NULL."""

    __slots__ = ("cell", "handle", "pointer")

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        self.cell = bytearray(c_void_p(pointer))
        """The memory. The accelerator reads the handle from it."""
        # Python reads a ctypes object during the call into C. An int would be read before the call, and another thread
        # could close the index in between.
        self.handle = c_void_p.from_buffer(self.cell)

    def retire(self) -> None:
        """Clears the handle."""
        self.handle.value = None


class LibraryHandle(Handle):
    """The handle of a library, or of all libraries."""

    __slots__ = ("named",)

    def __init__(self, pointer: int, named: object) -> None:
        super().__init__(pointer)
        self.named = named
        """The library's value in a JSON request. None means all libraries."""
