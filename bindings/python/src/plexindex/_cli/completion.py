"""`plexindex completion`: makes shell completions from the parser."""

from __future__ import annotations

import argparse
import os
import shlex

from . import arguments, codes
from .codes import UsageError
from .output import note, remark, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Metavariables of the help that a shell can complete.
_FILES = ("FILE", "PATH")
_FOLDERS = ("FOLDER",)


# Where each shell looks for it, below a folder of shared data such as /usr/share.
PLACES = {
    "bash": "bash-completion/completions/plexindex",
    "zsh": "zsh/site-functions/_plexindex",
    "fish": "fish/vendor_completions.d/plexindex.fish",
}


def completion(options: argparse.Namespace) -> int:
    """Prints the completions for a shell, or installs them for this user."""
    if os.name == "nt":
        raise UsageError("the completions are for bash, zsh and fish on other systems: Windows' own shells have none")
    commands = arguments.commands_of(arguments.parser())
    summaries = {name: _summary(command) for name, command in commands.items()}
    text = {"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](commands, summaries)
    if options.install:
        _install(options.shell, text)
    else:
        say(text)
    return codes.OK


def _install(shell: str, text: str) -> None:
    """Writes it where the shell of this user looks for it; zsh looks nowhere below a home by itself."""
    shared = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    file = os.path.join(shared, PLACES[shell])
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w", encoding="utf-8") as written:
            written.write(f"{text}\n")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    say(file)
    if shell == "zsh":
        remark(f"put this before compinit in ~/.zshrc: fpath+=({shlex.quote(os.path.dirname(file))})")
    note("a new shell completes plexindex")


def _summary(command: argparse.ArgumentParser) -> str:
    return (command.description or "").partition(". ")[0].rstrip(".")


def _options(command: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in command._actions if action.option_strings]


def _every(commands: dict[str, argparse.ArgumentParser]) -> list[argparse.Action]:
    """Returns the options of all commands, each once: they may also stand before the command."""
    every = {action.option_strings[-1]: action for command in commands.values() for action in _options(command)}
    return [action for action in every.values() if action.dest != "help"]


def _takes_value(action: argparse.Action) -> bool:
    return action.nargs != 0


def _help(action: argparse.Action) -> str:
    return (action.help or "").partition(";")[0].partition(". ")[0].rstrip(".")


def _values(action: argparse.Action) -> str:
    """Returns the values of an option: words, ``files``, ``folders``, or an empty text."""
    if action.choices:
        return " ".join(map(str, action.choices))
    metavar = action.metavar
    return "files" if metavar in _FILES else "folders" if metavar in _FOLDERS else ""


def _positional(command: argparse.ArgumentParser) -> str:
    found = [_values(action) for action in command._actions if not action.option_strings]
    return found[0] if found else ""


def _words(options: Iterable[argparse.Action]) -> str:
    return " ".join(flag for action in options for flag in action.option_strings)


def _bash(commands: dict[str, argparse.ArgumentParser], _: dict[str, str]) -> str:
    made = {"files": 'COMPREPLY=($(compgen -f -- "$word"))', "folders": 'COMPREPLY=($(compgen -d -- "$word"))'}

    def reply(values: str) -> str:
        return made.get(values) or f'COMPREPLY=($(compgen -W "{values}" -- "$word"))'

    every = [action for command in commands.values() for action in _options(command)]
    taking = {"|".join(action.option_strings): _values(action) for action in every if _takes_value(action)}
    lines = [
        "# bash completion for plexindex",
        "_plexindex() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' at",
        "    compopt -o filenames 2>/dev/null",
        "    case $before in",
        *(
            f"        {flags}) {reply(values) if values else 'COMPREPLY=()'}; return ;;"
            for flags, values in taking.items()
        ),
        "    esac",
        "    for ((at = 1; at < COMP_CWORD; at++)); do",
        "        case ${COMP_WORDS[at]} in",
        f"            {'|'.join(commands)}) command=${{COMP_WORDS[at]}}; break ;;",
        "        esac",
        "    done",
        "    case $command:$word in",
        f"        :-*) {reply(' '.join([_words(_every(commands)), '--help', '--version']))} ;;",
        f"        :*) {reply(' '.join([*commands, '--help', '--version']))} ;;",
    ]
    for name, command in commands.items():
        lines.append(f"        {name}:-*) {reply(_words(_options(command)))} ;;")
        values = _positional(command)
        if values:
            lines.append(f"        {name}:*) {reply(values)} ;;")
    return "\n".join([*lines, "    esac", "}", "complete -F _plexindex plexindex"])


def _zsh(commands: dict[str, argparse.ArgumentParser], summaries: dict[str, str]) -> str:
    def quoted(text: str) -> str:
        return (
            text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:").replace("'", "'\\''")
        )

    def value(values: str, name: str) -> str:
        what = {"files": "_files", "folders": "_files -/", "": " "}.get(values, f"({values})")
        return f":{quoted(name.lower())}:{what}"

    def option(action: argparse.Action) -> list[str]:
        # An option that may be repeated, or excludes its other spelling.
        again = isinstance(action, (argparse._AppendAction, argparse._CountAction))
        first = "*" if again else f"({_words([action])})" if len(action.option_strings) > 1 else ""
        takes = value(_values(action), str(action.metavar or action.dest)) if _takes_value(action) else ""
        takes = f":{takes}" if action.nargs == "?" else takes
        return [f"'{first}{flag}[{quoted(_help(action))}]{takes}'" for flag in action.option_strings]

    lines = [
        "#compdef plexindex",
        "_plexindex() {",
        "    local state line",
        "    local -A opt_args",
        "    _arguments -C \\",
    ]
    lines += ["        '(- *)'{-h,--help}'[show the help]' '(- *)'{-V,--version}'[say the version]' \\"]
    lines += [f"        {spec} \\" for action in _every(commands) for spec in option(action)]
    lines += ["        '1:command:->command' '*::argument:->argument'", "    case $state in", "        command)"]
    lines += ["            local -a commands=("]
    lines += [f"                '{name}:{quoted(summary)}'" for name, summary in summaries.items()]
    lines += [
        "            )",
        "            _describe command commands ;;",
        "        argument)",
        "            case $line[1] in",
    ]
    for name, command in commands.items():
        specs = [spec for action in _options(command) for spec in option(action)]
        values = _positional(command)
        specs += [f"'*{value(values, 'argument')}'"] if values else []
        lines += [f"                {name})", "                    _arguments \\"]
        lines += [f"                        {spec} \\" for spec in specs[:-1]]
        lines += [f"                        {specs[-1]} ;;"]
    lines += ["            esac ;;", "    esac", "}"]
    # compinit runs it as a function's body; with `source` it must register itself.
    lines += ['if [ "$funcstack[1]" = "_plexindex" ]; then _plexindex "$@"; else compdef _plexindex plexindex; fi']
    return "\n".join(lines)


def _fish(commands: dict[str, argparse.ArgumentParser], summaries: dict[str, str]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def value(values: str) -> str:
        if values == "files":
            return "-rF"
        return f"-xa {quoted({'folders': '(__fish_complete_directories)'}.get(values, values))}" if values else "-x"

    names = " ".join(commands)
    none = f"not __fish_seen_subcommand_from {names}"
    lines = ["# fish completion for plexindex", "complete -c plexindex -f"]
    lines += ["complete -c plexindex -s h -l help -d 'show the help'"]
    lines += [f"complete -c plexindex -n {quoted(none)} -s V -l version -d 'say the version'"]

    def option(action: argparse.Action, when: str) -> str:
        flags = " ".join(
            f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in action.option_strings
        )
        takes = f" {value(_values(action))}" if _takes_value(action) and action.nargs != "?" else ""
        return f"complete -c plexindex -n {quoted(when)} {flags}{takes} -d {quoted(_help(action))}"

    lines += [option(action, none) for action in _every(commands)]
    for name, command in commands.items():
        lines.append(f"complete -c plexindex -n {quoted(none)} -a {name} -d {quoted(summaries[name])}")
        when = f"__fish_seen_subcommand_from {name}"
        seen = quoted(when)
        lines += [option(action, when) for action in _options(command) if action.dest != "help"]
        values = _positional(command)
        if values in ("files", "folders"):
            lines.append(f"complete -c plexindex -n {seen} -F")
        elif values:
            lines.append(f"complete -c plexindex -n {seen} -a {quoted(values)}")
    return "\n".join(lines)
