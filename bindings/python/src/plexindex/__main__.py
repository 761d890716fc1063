"""The command ``plexindex``, also ``python -m plexindex``.

Ctrl-C ends it with 130 without a traceback from the first line on, so also while its modules are loaded.
"""

import os

# The part of `signal` that is written in C: the rest takes 2 ms to import.
from _signal import SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found]

_INTERRUPTED = 130


def _end(*_: object) -> None:
    os._exit(_INTERRUPTED)


_may_end = getsignal(SIGINT) is default_int_handler  # a shell ignores it for a job in the background
if _may_end:
    signal(SIGINT, _end)


def main() -> int:
    """Runs the command with the process's arguments. Returns the exit code."""
    from ._cli import main as run

    try:
        if _may_end:
            signal(SIGINT, default_int_handler)
        return run()
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        if _may_end:
            signal(SIGINT, _end)


if __name__ == "__main__":
    import sys

    sys.exit(main())
