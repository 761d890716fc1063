"""The command ``plexindex``, also ``python -m plexindex``.

Ctrl-C ends the command with exit code 130 and without a traceback, even while Python imports the modules.
"""

import os
import sys

# `_signal` is the part of `signal` that is written in C. Importing the Python part would take 2 ms.
from _signal import SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found]

_INTERRUPTED = 130


def _end(*_: object) -> None:
    os._exit(_INTERRUPTED)


_may_end = getsignal(SIGINT) is default_int_handler  # a shell ignores SIGINT for a background job
if _may_end:
    signal(SIGINT, _end)


def main() -> int:
    """Runs the command with the process's arguments, and returns the exit code."""
    from . import cli

    try:
        if _may_end:
            signal(SIGINT, default_int_handler)
        return cli.main()
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        if _may_end:
            signal(SIGINT, _end)


if __name__ == "__main__":
    sys.exit(main())
