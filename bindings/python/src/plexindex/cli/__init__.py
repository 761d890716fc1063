"""The command ``plexindex``, for people and scripts.

``arguments`` parses the command line. ``config`` finds the server, the token and the folder. A module for each command
does the work. ``output`` and ``bar`` print, and ``codes`` defines the exit codes.
"""

from __future__ import annotations

import errno
import os
import sys

from .._core import TYPE_CHECKING
from ..errors import Error, InvalidArgumentError, TimeoutError, UnauthorizedError
from . import arguments, codes, output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command with ``words``, or with the process's arguments, and returns the exit code."""
    output.prepare()
    options = None
    try:
        options = arguments.parse(words)
        output.set_color(options.color)
        output.log_to_stderr(options.verbose)
        code: int = options.run(options)
        sys.stdout.flush()
    except SystemExit:
        # argparse has printed the help, but the text may still be in standard output's buffer.
        try:
            sys.stdout.flush()
        except OSError as error:
            return _report_stream_error(error)
        raise
    except KeyboardInterrupt:
        fetches = options and options.command in ("warm", "match", "folder", "diff", "changes", "doctor")
        effect = "; the next run resumes the fetch" if fetches else ""
        output.complain(f"interrupted{effect}")
        return codes.INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, Error):
            return _report_stream_error(error)
        if isinstance(error, ImportError):
            output.complain(str(error))
            return codes.DEFECT
        if not isinstance(error, (Error, codes.UsageError)):
            import traceback

            traceback.print_exc()
            output.complain("this is a bug in plexindex: please report it with the lines above")
            return codes.DEFECT
        output.complain(f"{error}{_advice(error, options)}")
        hurried = getattr(options, "deadline", None) is not None
        return codes.of(error, hurried=hurried, database=getattr(options, "database_alone", False))
    return code


def _report_stream_error(error: OSError) -> int:
    """Reports that a stream or a file cannot be read or written. Returns the exit code."""
    # Otherwise Python would report the error again when it flushes standard output at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # The reader closed the pipe. Windows' C library reports a closed pipe as an invalid argument.
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return codes.PIPE_CLOSED
    name = error.filename or "standard output"
    verb = {"standard input": "read", "standard output": "write to"}.get(name, "read or write")
    output.complain(f"cannot {verb} {name}: {error.strerror or error}")
    return codes.STREAM


def _advice(error: Exception, options: argparse.Namespace | None) -> str:
    """Returns advice about flags or the token's source, to append to an error message from the library."""
    is_unreachable = getattr(error, "status_name", None) == "connect" or (
        # If the user gave a deadline, it can also pass while plexindex reads the database.
        isinstance(error, TimeoutError) and getattr(options, "deadline", None) is None
    )
    if is_unreachable and getattr(options, "database_beside", False):
        return "; plexindex needs the server to identify Plex's database: add --no-server to use the database alone"
    source = getattr(options, "token_from", "")
    is_about_token = isinstance(error, InvalidArgumentError) and str(error).startswith("the token ")
    if source and (is_about_token or isinstance(error, UnauthorizedError)):
        return f"; the token is from {source}"
    return ""
