"""`plexindex completion`: prints or installs click's completion script for a shell."""

from __future__ import annotations

import os
import shlex

import click
from click.shell_completion import get_completion_class

from . import codes
from .codes import UsageError
from .output import remark, say

# The file where each shell looks for a completion script, relative to a data folder such as /usr/share.
_PLACES = {
    "bash": "bash-completion/completions/plexindex",
    "zsh": "zsh/site-functions/_plexindex",
    "fish": "fish/vendor_completions.d/plexindex.fish",
}


@click.command()
@click.option("--install", is_flag=True, help="Install the script where the shell looks for it, and print its path.")
@click.argument("shell", type=click.Choice(list(_PLACES)))
@click.pass_context
def completion(context: click.Context, install: bool, shell: str) -> int:
    """Print or install a script for shell completion.

    The shell then completes commands, options and option values. bash must be 4.4 or newer; PowerShell is not
    supported.
    """
    make = get_completion_class(shell)
    assert make is not None
    text = make(context.find_root().command, {}, "plexindex", "_PLEXINDEX_COMPLETE").source().strip()
    if not install:
        say(text)
        return codes.OK
    path = os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), _PLACES[shell])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    say(path)
    if shell == "zsh":
        remark(f"add this line to ~/.zshrc, before compinit: fpath+=({shlex.quote(os.path.dirname(path))})")
    remark("start a new shell to use the completion", terminal_only=True)
    return codes.OK
