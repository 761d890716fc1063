"""Passes tokens from the host's callable to the library."""

from __future__ import annotations

import ctypes
from functools import partial

from . import Any, Callable, begin_in_child, convert, get_ident
from . import abi as c
from .callbacks import receive, running


class Renewal:
    """Passes tokens to the library, on the thread whose call needs a token."""

    def __init__(self, renew: Callable[[], str | None]) -> None:
        self._renew = renew
        # The exceptions that the callable raised, by thread.
        self._raised: dict[int, BaseException] = {}
        self.count: int = 0
        """How often the library has asked for a token."""
        self.user: Any = partial(len)
        """The `user` of the callback ``call``. C keeps this object, so a new generator is put into it."""
        self.begin()
        # In a forked child, a generator that is inside the host's callable on another thread would never end.
        begin_in_child(self)

    call: Any = c.RENEW_TOKEN_FN(partial.__call__)
    """The plexindex_renew_token_fn."""

    def begin(self) -> None:
        """Makes the callback resume a new generator."""
        answers = receive(self)
        self.thread: int | None = None
        """The thread that is in the callable."""
        next(answers)
        self.user.__setstate__((answers.send, (), {}, {}))

    @property
    def error(self) -> BaseException | None:
        """The exception that the callable raised on this thread. Reading forgets it."""
        return self._raised.pop(get_ident(), None)

    @error.setter
    def error(self, error: BaseException) -> None:
        self._raised[get_ident()] = error
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            for call in running():
                if call.thread == get_ident():
                    call.error = error  # the call raises it when it returns

    def goes_on(self, address: int) -> bool:
        """Writes a token into the plexindex_buffer at ``address``. Returns False if there is no token."""
        self._raised.pop(get_ident(), None)
        self.thread, self.count = get_ident(), self.count + 1
        try:
            token = self._renew()
        finally:
            self.thread = None
        raw = None if token is None else convert.text_bytes("token", token, hidden=True)
        buffer = c.CBuffer.from_address(address)
        if not raw or len(raw) > buffer.capacity:
            return False
        ctypes.memmove(buffer.data, raw, len(raw))
        buffer.length = len(raw)
        return True
