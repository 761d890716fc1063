"""The command ``plexindex``: what the package does, for people and scripts. Each part is a module of its own.

``arguments`` says what can be given, ``config`` finds server, token and folder, ``commands`` and ``doctor`` do the
work, ``output`` and ``bar`` show it, ``codes`` are the exit codes.
"""

from __future__ import annotations

import errno
import os
import sys

from .._errors import ConnectError, Error, ForbiddenError, InvalidArgumentError, TimeoutError, UnauthorizedError
from . import arguments, codes, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(given: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments, by default the process's. Returns the exit code."""
    output.prepare()
    options = None
    try:
        options = arguments.parse(given)
        output.colour(options.color)
        output.log_to_stderr(options.verbose)
        code: int = options.run(options)
        sys.stdout.flush()
    except SystemExit:
        # The help and the version: what was printed may not have been written yet.
        try:
            sys.stdout.flush()
        except OSError as error:
            return _stream_failed(error)
        raise
    except KeyboardInterrupt:
        fetches = options and options.command in ("warm", "match", "folder", "diff", "changes", "doctor")
        kept = "; the fetched part is kept" if fetches else ""
        output.complain(f"interrupted{kept}")
        return codes.INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, Error):
            # Errors of the library have their own text; other errors name the file.
            return _stream_failed(error)
        if not isinstance(error, (Error, codes.UsageError)):
            import traceback

            traceback.print_exc()
            output.complain("this is a bug in plexindex: please report it with the lines above")
            return codes.DEFECT
        output.complain(f"{error}{_advice(error, options)}")
        hurried = getattr(options, "deadline", None) is not None
        return codes.of(error, hurried=hurried, database=getattr(options, "database_alone", False))
    return code


def _stream_failed(error: OSError) -> int:
    """Reports a stream or file that cannot be read or written. Returns the exit code."""
    # Otherwise Python would report it again when it flushes at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # The reader closed the pipe. Windows' C library calls that an invalid argument.
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return codes.PIPE_CLOSED
    what = error.filename or "standard output"
    verb = {"standard input": "read", "standard output": "written"}.get(what, "read or written")
    output.complain(f"{what} cannot be {verb}: {error.strerror or error}")
    return codes.STREAM


def _advice(error: Exception, options: argparse.Namespace | None) -> str:
    """Returns advice about an error that the library cannot give."""
    is_away = isinstance(error, ConnectError) or (
        # A deadline may also come while the database is read.
        isinstance(error, TimeoutError) and getattr(options, "deadline", None) is None
    )
    if is_away and getattr(options, "database_beside", False):
        return "; Plex's database was not used: only its server says that it is its own; --no-server asks it alone"
    source = getattr(options, "token_from", "")
    of_token = isinstance(error, InvalidArgumentError) and str(error).startswith("the token ")
    if source and (of_token or isinstance(error, (UnauthorizedError, ForbiddenError))):
        return f"; the token is from {source}"
    return ""
