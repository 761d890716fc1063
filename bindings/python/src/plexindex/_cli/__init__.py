"""The command ``plexindex``, for people and scripts.

This module finds commands and reports errors. ``options`` reads the command line; ``settings`` has the settings'
sources, and ``codes`` the exit codes; ``output`` prints.
"""

from __future__ import annotations

import errno
import os
import sys

from .. import _core
from ..errors import Error
from . import codes, options, output

if _core.TYPE_CHECKING:
    from collections.abc import Sequence

# The commands in the order of the help, each with its module, which is imported only for this command or the help.
COMMANDS = {
    "doctor": "doctor", "match": "match", "folder": "match", "diff": "diff", "changes": "changes", "scan": "match",
    "refresh-item": "match", "refresh": "libraries", "libraries": "libraries", "stats": "libraries",
    "clear": "libraries", "matches export": "libraries", "matches import": "libraries", "shared init": "shared",
    "shared status": "shared", "shared clear": "shared", "shared drop-old": "shared", "config": "settings",
    "completion": "help", "help": "help",
}  # fmt: skip
# The help of words that begin several commands.
GROUPS = {
    "": "Find the Plex item for a file without asking the server each time.",
    "matches": "Export recorded matches, or import them into another index.",
    "shared": "Manage the PostgreSQL database that several hosts share.",
}


def find(name: str) -> options.Command | None:
    """Returns the command with this name; None if several commands begin with it. Raises UsageError."""
    if name in GROUPS:
        return None
    if name not in COMMANDS:
        raise options.UsageError(f"No such command '{name.rpartition(' ')[2]}'.")
    module = __import__(f"{__package__}.{COMMANDS[name]}", fromlist=["*"])
    found: options.Command = getattr(module, f"{name.replace('-', '_').replace(' ', '_')}_command")
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command, reports an error, and returns the exit code."""
    output.prepare()
    options.given.clear()
    words = sys.argv[1:] if words is None else words
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        effect = "; the next run resumes the fetch" if output.Bar.is_fetching else ""
        output.say("", sys.stderr)  # after the terminal's ^C
        output.complain(f"interrupted{effect}")
        return codes.INTERRUPTED
    except Exception as error:
        if "--json" in words:
            options.given["json"] = True
        return _report(error)


def _run(words: Sequence[str]) -> int:
    if "_PLEXINDEX_COMPLETE" in os.environ:
        from .help import completions

        output.say("\n".join(completions(words)))
        return codes.OK
    name, command, arguments, own = options.parse(words, find)
    is_help, is_version = (one in options.given for one in ("help", "version"))
    if command and not (is_help or is_version):
        return command.run(arguments, **own) if command.argument else command.run(**own)
    if words and not (is_help or is_version):
        raise options.UsageError("Missing command.")
    from .help import help_of, version_lines

    output.say("\n".join(version_lines()) if is_version else help_of(name), None if words else sys.stderr)
    return codes.OK if words else codes.USAGE


def _report(error: Exception) -> int:
    settings = options.given.get("settings")
    code = codes.of(error, database=settings is not None and settings.needs_database)
    text = str(error)
    if isinstance(error, options.UsageError):
        text += f"\nSee `{options.given.get('command', 'plexindex')} --help`."
    elif isinstance(error, Error):
        text += settings.advice(error) if settings else ""
    elif isinstance(error, OSError):
        output.discard(1)
        # The reader closed the pipe. Windows' C library reports a closed pipe as an invalid argument.
        if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
            return codes.PIPE_CLOSED
        text = f"cannot read or write {error.filename or 'standard output'}: {error.strerror or error}"
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "rich":
        text = "the command needs the package rich, as in plexindex[cli]: pip install rich"
    elif not isinstance(error, ImportError):
        import traceback

        traceback.print_exc()
        text = "this is a bug in plexindex: please report it with the lines above"
    if options.given.get("json"):
        fields = {name: getattr(error, of, None) for name, of in (("status", "status_name"), ("argument", "argument"))}
        output.say_json({"error": {"message": text, "exit_code": code, **fields}}, sys.stderr)
    else:
        output.complain(text)
    return code
