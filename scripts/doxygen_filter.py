"""Translates the comments of include/plexindex.h for doxygen. Run by make_docs.py.

The header stays free of doxygen's marks, for those who read it. Its comments have a fixed shape: what the function
does, its arguments in backticks, 'Returns', 'Precondition'.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# A group a page: its name, its title, and a pattern of the names in it. The first that matches counts.
GROUPS = [
    ("statuses", "Statuses and versions", r"plexindex_(status|abi_version|version|last_error)|PLEXINDEX_ABI_VERSION"),
    (
        "answers",
        "Reading answers",
        r"plexindex_(block_|answer|item$|text$)|PLEXINDEX_(RUNG|CONFIDENCE|REASON|ANSWER|ITEM)_",
    ),
    ("tables", "Tables of the host's own", r"plexindex_table|PLEXINDEX_TABLE_"),
    ("edits", "Editing items", r"plexindex_edit|PLEXINDEX_EDIT"),
    (
        "open",
        "Opening and closing",
        r"plexindex_(open|close|handle|options|mapping|set_token|renew_token_fn)$|PLEXINDEX_(OPEN|MAPPING|TTL|NO_RETRY|NEVER_SLOW)",
    ),
    (
        "match",
        "Matching",
        r"plexindex_(library(_handle)?|lookup_|match_|items_below|search_|query|progress)|PLEXINDEX_(SELECT|QUERY|NO_DEADLINE)",
    ),
    (
        "fresh",
        "Recording, invalidating, refreshing",
        r"plexindex_(record_|invalidate_|clear$|refresh$|watch_|notify$|changes_json$|wait_for_changes$|wake_waiting$)",
    ),
    ("disk", "A disk and what is listed", r"plexindex_(walk|items_not_on_disk|host_path)$|PLEXINDEX_RULE_"),
    ("facts", "Facts and statistics", r"plexindex_(items|.*_json|stats|statistics)$|PLEXINDEX_REQUEST_"),
    ("log", "Log lines", r"plexindex_(drain_log|log_fn)$|PLEXINDEX_LOG_"),
    ("given", "What calls are given", r"plexindex_(bytes|buffer|compare_paths)$|PLEXINDEX_PATHS_"),
]

# Descriptions of arguments whose comment omits them.
USUAL = {
    "handle": "An open index.",
    "library": "A library of an open index.",
    "table": "A table of an open index.",
    "query": "What is asked, and how: see plexindex_query.",
    "json": "Receives the JSON.",
    "key": "The item's key or rating key, UTF-8.",
    "path": "The path: the file system's bytes.",
    "name": "The entry's name, any bytes.",
    "value": "The value, any bytes.",
    "block": "The buffer as the call left it that wrote the block.",
    "place": "Which one, from 0 on.",
    "count": "How many.",
    "status": "A status.",
    "stats": "Receives the statistics.",
    "user": "Passed to the function unchanged.",
    "receive": "Receives each line.",
    "answer": "The answer.",
    "answers": "Receives the block of answers.",
    "ttl_ms": "When the value expires: see plexindex_table_put().",
    "limit": "How many bytes all tables may take: see plexindex_table_put().",
    "error": "Receives the text of an error: see plexindex_buffer. May be NULL.",
}
ARGUMENTS = re.compile(r"(?:^|(?<=[.;] ))((?:`\w+`, )*`\w+`): ")


def group_of(name: str) -> str:
    """The group of a name."""
    for group, _, names in GROUPS:
        if re.match(names, name):
            return group
    sys.exit(f"{name} is in no group: add it to GROUPS in {Path(__file__).name}")


def described(paragraphs: list[str]) -> tuple[list[str], dict[str, str]]:
    """Paragraphs about no argument, and the description of each argument."""
    rest, arguments = [], {}
    for paragraph in paragraphs:
        if not ARGUMENTS.match(paragraph):
            rest.append(paragraph)
            continue
        _, *parts = ARGUMENTS.split(paragraph)
        for names, text in zip(parts[::2], parts[1::2]):
            for name in re.findall(r"\w+", names):
                arguments[name] = text[0].upper() + text[1:].strip()
    return rest, arguments


def parameters(declaration: str) -> list[str]:
    """The names of a function's arguments."""
    inside = re.sub(r"\s+", " ", declaration[declaration.index("(") + 1 : declaration.rindex(")")])
    return [] if inside == "void" else [re.split(r"[ *]", one)[-1] for one in inside.split(", ")]


def comment_for(comment: list[str], declaration: str) -> list[str]:
    """A comment above a declaration at the margin."""
    paragraphs = [re.sub(r"\s*\n", " ", text) for text in "\n".join(comment).split("\n\n")]
    is_function = re.match(r"(?!typedef|#|enum)\w.*\(", declaration) is not None
    found = re.match(r"#define (\w+)|typedef (?:struct|enum) (\w+)|.*?\(\*(\w+)\)|.*?\b(plexindex_\w+)\(", declaration)
    if found is None:
        sys.exit(f"what is declared by {declaration!r}?")
    name = next(one for one in found.groups() if one)
    said: dict[str, str] = {}
    if is_function:
        paragraphs, said = described(paragraphs)
    about, outcome = [f"@ingroup {group_of(name)}"], []
    for paragraph in paragraphs:
        if paragraph.startswith("Returns "):
            outcome.append(f"@return {paragraph[8:]}")
        elif paragraph.startswith("Precondition: "):
            outcome.append(f"@pre {paragraph[14].upper()}{paragraph[15:]}")
        else:
            about += [paragraph, ""]
    arguments = []
    for one in parameters(declaration) if is_function else []:
        text = said.pop(one, None) or USUAL.get(one) or of_length(one, declaration)
        arguments.append(f"@param {one} {text}")
    if said:
        sys.exit(f"{name} has no argument called {', '.join(said)}, which its comment describes")
    return [f"/// {line}".rstrip() for line in (*about, *arguments, *outcome)]


def of_length(name: str, declaration: str) -> str:
    """What a length measures, from its name or from the argument before it."""
    if name == "length" or name.endswith("_length"):
        names = parameters(declaration)
        return f"How many bytes `{names[names.index(name) - 1]}` has."
    sys.exit(f"nothing says what `{name}` is: add it to the comment, or to USUAL\n{declaration}")


def main_page(comment: str) -> list[str]:
    """The comment at the top of the header, as the first page."""
    lines = ["@mainpage plexindex in C", ""]
    for line in comment.splitlines()[1:-1]:
        text = re.sub(r"^ \* ?", "", line)
        heading = re.match(r"(\w+): (.*)", text)
        if heading and heading[1] != "plexindex":
            lines += ["", f"@par {heading[1]}", heading[2][0].upper() + heading[2][1:]]
        elif not text.startswith("Generated"):
            lines.append(text.strip())
    lines += ["", "@par Where to begin", "plexindex_open(), then plexindex_library(), then plexindex_match_path().", ""]
    lines += [f"- @ref {name}" for name, _, _ in GROUPS]
    for name, title, _ in GROUPS:
        lines += ["", f"@defgroup {name} {title}"]
    return [f"/// {line}".rstrip() for line in lines]


def main() -> None:
    """Prints the header for doxygen."""
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    top, rest = re.split(r"(?<=\*/)\n", text, maxsplit=1)
    shown = ["/// @file", *main_page(top)]
    comment: list[str] = []
    lines = rest.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("//"):
            comment.append(line[2:].strip())
            continue
        if comment:
            declaration = line
            for more in lines[number + 1 :] if "(" in line and not line.startswith("#") else []:
                if declaration.endswith(";"):
                    break
                declaration += " " + more.strip()
            shown += comment_for(comment, declaration)
            comment = []
        shown.append(re.sub(r"^( +)// ", r"\1/// ", line))
    print("\n".join(shown))


if __name__ == "__main__":
    main()
