"""`plexindex completion`: generates shell completion scripts from the parser."""

from __future__ import annotations

import argparse
import os
import shlex

from .._core import TYPE_CHECKING
from . import arguments, codes
from .codes import UsageError
from .output import remark, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    Commands = dict[str, argparse.ArgumentParser]

# The file where each shell looks for a completion script, relative to a data folder such as /usr/share.
PLACES = {
    "bash": "bash-completion/completions/plexindex",
    "zsh": "zsh/site-functions/_plexindex",
    "fish": "fish/vendor_completions.d/plexindex.fish",
}


def completion(options: argparse.Namespace) -> int:
    """Prints the completion script for a shell, or installs it for this user."""
    if os.name == "nt":
        raise UsageError("completion supports only bash, zsh and fish, which are not available on Windows")
    text = _GENERATORS[options.shell](arguments.commands_of(arguments.parser()))
    if options.install:
        _install(options.shell, text)
    else:
        say(text)
    return codes.OK


def _install(shell: str, text: str) -> None:
    """Installs the completion script where the user's shell looks for it. For zsh, the user must also edit ~/.zshrc."""
    shared_data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    path = os.path.join(shared_data, PLACES[shell])
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


def _summary(command: argparse.ArgumentParser) -> str:
    return (command.description or "").partition(". ")[0].rstrip(".")


def _options(command: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in command._actions if action.option_strings and action.dest != "help"]


def _all_options(commands: Commands) -> list[argparse.Action]:
    """Returns all commands' options without duplicates. Users can also write these options before the command."""
    actions = [action for command in commands.values() for action in _options(command)]
    return list({action.option_strings[-1]: action for action in actions}.values())


def _help(action: argparse.Action) -> str:
    return (action.help or "").partition(";")[0].partition(". ")[0].rstrip(".")


def _values(action: argparse.Action) -> str:
    """Returns the completions for an option's value: a list of words, ``files``, ``folders``, or an empty string."""
    if action.choices:
        return " ".join(map(str, action.choices))
    return {"FILE": "files", "PATH": "files", "FOLDER": "folders"}.get(str(action.metavar), "")


def _positional(command: argparse.ArgumentParser) -> str:
    return next((_values(action) for action in command._actions if not action.option_strings), "")


def _flags(options: Iterable[argparse.Action]) -> str:
    return " ".join(flag for action in options for flag in action.option_strings)


def _bash(commands: Commands) -> str:
    def reply(values: str) -> str:
        generate = {"files": "-f", "folders": "-d"}.get(values, f'-W "{values}"')
        return f'COMPREPLY=($(compgen {generate} -- "$word"))' if values else "COMPREPLY=()"

    with_value = {
        "|".join(action.option_strings): _values(action) for action in _all_options(commands) if action.nargs != 0
    }
    lines = [
        "# bash completion for plexindex",
        "_plexindex() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' position",
        "    compopt -o filenames 2>/dev/null",
        "    case $before in",
        *(f"        {flags}) {reply(values)}; return ;;" for flags, values in with_value.items()),
        "    esac",
        "    for ((position = 1; position < COMP_CWORD; position++)); do",
        "        case ${COMP_WORDS[position]} in",
        f"            {'|'.join(commands)}) command=${{COMP_WORDS[position]}}; break ;;",
        "        esac",
        "    done",
        "    case $command:$word in",
        f"        :-*) {reply(_flags(_all_options(commands)) + ' --help --version')} ;;",
        f"        :*) {reply(' '.join(commands) + ' --help --version')} ;;",
    ]
    for name, command in commands.items():
        lines.append(f"        {name}:-*) {reply(_flags(_options(command)) + ' --help')} ;;")
        lines.append(f"        {name}:*) {reply(_positional(command))} ;;")
    return "\n".join([*lines, "    esac", "}", "complete -F _plexindex plexindex"])


def _zsh(commands: Commands) -> str:
    def quote(text: str) -> str:
        for sign in "\\[]:":
            text = text.replace(sign, f"\\{sign}")
        return text.replace("'", "'\\''")

    def value(values: str, name: str) -> str:
        completer = {"files": "_files", "folders": "_files -/", "": " "}.get(values, f"({values})")
        return f":{quote(name.lower())}:{completer}"

    def specs(options: Iterable[argparse.Action]) -> list[str]:
        lines = []
        for action in options:
            is_repeatable = isinstance(action, (argparse._AppendAction, argparse._CountAction))
            excluded = f"({_flags([action])})" if len(action.option_strings) > 1 else ""
            argument = value(_values(action), str(action.metavar or action.dest)) if action.nargs != 0 else ""
            argument = f":{argument}" if action.nargs == "?" else argument
            prefix = "*" if is_repeatable else excluded
            lines += [f"'{prefix}{flag}[{quote(_help(action))}]{argument}'" for flag in action.option_strings]
        return lines

    top = ["'(- *)'{-h,--help}'[show the help]'", "'(- *)'{-V,--version}'[print the versions]'"]
    top += [*specs(_all_options(commands)), "'1:command:->command'", "'*::argument:->argument'"]
    lines = ["#compdef plexindex", "_plexindex() {", "    local state line", "    local -A opt_args"]
    lines += [f"    _arguments -C {' '.join(top)}", "    case $state in", "        command)"]
    names = " ".join(f"'{name}:{quote(_summary(command))}'" for name, command in commands.items())
    lines += [f"            local -a commands=({names})", "            _describe command commands ;;"]
    lines += ["        argument)", "            case $line[1] in"]
    for name, command in commands.items():
        values = _positional(command)
        arguments = [*specs(_options(command)), *([f"'*{value(values, 'argument')}'"] if values else [])]
        lines.append(f"                {name}) _arguments {' '.join(arguments)} ;;")
    lines += ["            esac ;;", "    esac", "}"]
    # compinit runs the script as the body of a function. A script that a user sources must register itself.
    lines += ['if [ "$funcstack[1]" = "_plexindex" ]; then _plexindex "$@"; else compdef _plexindex plexindex; fi']
    return "\n".join(lines)


def _fish(commands: Commands) -> str:
    def quote(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def value(values: str) -> str:
        if values == "files":
            return " -rF"
        words = {"folders": "(__fish_complete_directories)"}.get(values, values)
        return f" -xa {quote(words)}" if words else " -x"

    def complete(condition: str, action: argparse.Action) -> str:
        flags = " ".join(f"-l {flag[2:]}" if flag[1] == "-" else f"-s {flag[1:]}" for flag in action.option_strings)
        argument = value(_values(action)) if action.nargs not in (0, "?") else ""
        return f"complete -c plexindex -n {condition} {flags}{argument} -d {quote(_help(action))}"

    no_command = quote(f"not __fish_seen_subcommand_from {' '.join(commands)}")
    lines = ["# fish completion for plexindex", "complete -c plexindex -f"]
    lines += ["complete -c plexindex -s h -l help -d 'show the help'"]
    lines += [f"complete -c plexindex -n {no_command} -s V -l version -d 'print the versions'"]
    lines += [complete(no_command, action) for action in _all_options(commands)]
    for name, command in commands.items():
        lines.append(f"complete -c plexindex -n {no_command} -a {name} -d {quote(_summary(command))}")
        this_command = quote(f"__fish_seen_subcommand_from {name}")
        lines += [complete(this_command, action) for action in _options(command)]
        if values := _positional(command):
            words = "-F" if values in ("files", "folders") else f"-a {quote(values)}"
            lines.append(f"complete -c plexindex -n {this_command} {words}")
    return "\n".join(lines)


_GENERATORS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
