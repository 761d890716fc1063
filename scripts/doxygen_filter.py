"""Translates the comments of the headers in include for doxygen. Run by make_docs.py.

The headers stay free of doxygen's marks, for those who read them. Their comments have a fixed shape:
- of a function: what it does, its arguments in backticks, 'Returns', 'Precondition';
- of a constant or field: behind it, or above it when it is long;
- of constants that belong together: a line such as `// plexindex_options.flags:` above the first one.

The list of functions at the top gives the groups of the pages.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

INCLUDE = Path(__file__).resolve().parent.parent / "include"
CORE, MORE = INCLUDE / "plexindex.h", INCLUDE / "plexindex_more.h"
# Groups that the lists of functions do not have, and the helpers, which the library does not export.
OTHER = ["Arguments and memory", "Helpers"]
# The group of each type, and of each constant without a line above it that names a struct or function.
TYPES = {
    "PLEXINDEX_ABI_VERSION": "Open and close",
    "PLEXINDEX_VERSION_NUMBER": "Open and close",
    "plexindex_status": "Open and close",
    "plexindex_handle": "Open and close",
    "plexindex_mapping": "Open and close",
    "plexindex_options": "Open and close",
    "plexindex_renew_token_fn": "Open and close",
    "plexindex_library_handle": "Libraries",
    "plexindex_query": "Full answers",
    "plexindex_progress": "Full answers",
    "plexindex_progress_fn": "Full answers",
    "plexindex_answers": "Read an answer",
    "plexindex_answer": "Read an answer",
    "plexindex_item": "Read an answer",
    "plexindex_text": "Read an answer",
    "plexindex_stats": "Statistics",
    "Log level": "Log",
    "plexindex_log_fn": "Log",
    "plexindex_bytes": "Arguments and memory",
    "plexindex_buffer": "Arguments and memory",
    "plexindex_walk_request": "Listings against the disk",
    "plexindex_edit": "Edits",
    "plexindex_edit_report": "Edits",
    "plexindex_table_handle": "Tables of the host's own values",
    "plexindex_table_op": "Tables of the host's own values",
    "plexindex_error": "Helpers",
    "plexindex_finding": "Helpers",
    "plexindex_change": "Helpers",
}
# Descriptions of arguments whose comment omits them.
USUAL = {
    "handle": "An open index.",
    "library": "A library of an open index.",
    "table": "A table of an open index.",
    "query": "What to answer, and how: see plexindex_query.",
    "key": "The item's key or rating key, UTF-8.",
    "path": "The path: the file system's bytes.",
    "name": "The entry's name, any bytes.",
    "value": "The value, any bytes.",
    "text": "A text, NUL-terminated, or NULL.",
    "block": "The buffer as the call left it that wrote the block.",
    "answer": "An answer of the block.",
    "place": "The place, from 0 on.",
    "count": "How many.",
    "status": "A status.",
    "user": "Passed to the function unchanged.",
    "receive": "Receives each line.",
    "edit": "The edit: see plexindex_edit.",
    "finding": "A finding of plexindex_walk().",
    "deadline_ms": "How long the call may take: see plexindex_query.",
    "options": "How to open it: see plexindex_options.",
    "match_kind": "PLEXINDEX_MATCH_*.",
    "confidence": "PLEXINDEX_CONFIDENCE_*.",
    "reason": "PLEXINDEX_REASON_*.",
    "kind": "PLEXINDEX_KIND_*.",
    "buffer": "The buffer.",
    "out_handle": "Receives the handle.",
    "out_stats": "Receives the statistics.",
    "out_answer": "Receives the block.",
    "out_answers": "Receives the block.",
    "out_json": "Receives the JSON.",
    "out_count": "Receives the count.",
    "ttl_ms": "When the value expires: see plexindex_table_put().",
    "limit": "How many bytes all tables may take: see plexindex_table_put().",
    "error": "Receives the text of an error: see plexindex_buffer. May be NULL.",
    "plexindex_error_init.error": "The memory.",
}
ARGUMENTS = re.compile(r"(?:^|(?<=[.;] ))((?:`\w+`, )*`\w+`): ")
# The line above constants that belong together.
HEADING = re.compile(r"// ((plexindex_\w+)(?:\.\w+|\(\))|Log level):$")


def functions(header: Path) -> dict[str, str]:
    """The functions in the list at the top of a header, each with its group."""
    top = header.read_text(encoding="utf-8").split("*/")[0]
    lines = re.sub(r"^ \* ?", "", top.split("\n * Functions\n")[1], flags=re.MULTILINE)
    found = {}
    for title, names in re.findall(r"^  (\w[^:]*): ([^:]*?)(?=^  \w|\Z)", lines, re.MULTILINE):
        found.update(dict.fromkeys(re.findall(r"plexindex_\w+", names), title))
    return found


FUNCTIONS = {**functions(CORE), **functions(MORE)}
GROUPS = [*dict.fromkeys(FUNCTIONS.values()), *OTHER]


def label(title: str) -> str:
    """The name of a group, for doxygen."""
    return re.sub(r"\W+", "_", title.lower())


def group_of(name: str, *, is_helper: bool = False) -> str:
    """The label of a name's group."""
    title = FUNCTIONS.get(name) or TYPES.get(name) or ("Helpers" if is_helper else None)
    if title is None:
        sys.exit(
            f"{name} is in no group: add it to TYPES in {Path(__file__).name}, or to the header's list of functions"
        )
    return label(title)


def sentence(text: str) -> str:
    """A text with a capital letter, unless it begins with a name."""
    return text[0].upper() + text[1:] if re.match(r"[a-z]+\b(?![_(.])", text) else text


def paragraphs_of(comment: list[str]) -> list[str]:
    """The paragraphs of a comment, each in one line but for lists."""
    return [re.sub(r"\s*\n(?!- |\d\. )\s*", " ", text) for text in "\n".join(comment).split("\n\n")]


def described(paragraphs: list[str]) -> tuple[list[str], dict[str, str]]:
    """What is about no argument, and the description of each argument."""
    rest: list[str] = []
    arguments: dict[str, str] = {}
    names: list[str] = []
    for paragraph in paragraphs:
        if paragraph.startswith("- ") and names and arguments[names[-1]].endswith(":"):
            # The list that the description of an argument announces.
            arguments.update({name: f"{arguments[name]}\n{paragraph}" for name in names})
            continue
        begin, *parts = ARGUMENTS.split(paragraph)
        if begin:
            rest.append(begin.strip())
            names = []
        for given, text in zip(parts[::2], parts[1::2]):
            names = re.findall(r"\w+", given)
            arguments.update(dict.fromkeys(names, sentence(text.strip())))
    return rest, arguments


def parameters(declaration: str) -> list[str]:
    """The names of a function's arguments."""
    inside = re.sub(r"\s+", " ", declaration[declaration.index("(") + 1 : declaration.rindex(")")])
    return [] if inside == "void" else [re.split(r"[ *]", one)[-1] for one in inside.split(", ")]


def marked(lines: list[str], indent: str = "") -> list[str]:
    """Lines as a comment that doxygen reads."""
    return [f"{indent}/// {line}".rstrip() for text in lines for line in text.split("\n")]


def comment_for(comment: list[str], declaration: str) -> list[str]:
    """A comment above a function, type or single constant."""
    is_function = re.match(r"(?!typedef|#|enum)\w.*\(", declaration) is not None
    found = re.match(
        r"#define (\w+)|typedef (?:struct|enum) (\w+)|typedef .*?\(\*(\w+)\)|.*?\b(plexindex_\w+)\(", declaration
    )
    if found is None:
        sys.exit(f"what is declared by {declaration!r}?")
    name = next(one for one in found.groups() if one)
    paragraphs = paragraphs_of(comment)
    said: dict[str, str] = {}
    if is_function:
        paragraphs, said = described(paragraphs)
    about = [f"@ingroup {group_of(name, is_helper=declaration.startswith('static inline'))}"]
    outcome = []
    for paragraph in paragraphs:
        if paragraph.startswith("Returns ") and is_function:
            outcome.append(f"@return {paragraph[8:]}")
        elif paragraph.startswith("Precondition: "):
            outcome.append(f"@pre {sentence(paragraph[14:])}")
        else:
            about += [paragraph, ""]
    arguments = []
    for one in parameters(declaration) if is_function else []:
        text = said.pop(one, None) or USUAL.get(f"{name}.{one}") or USUAL.get(one) or of_length(one, declaration)
        arguments.append(f"@param {one} {text}")
    if said:
        sys.exit(f"{name} has no argument called {', '.join(said)}, which its comment describes")
    return marked([*about, *arguments, *outcome])


def of_length(name: str, declaration: str) -> str:
    """What a length measures, from the argument before it."""
    if name.endswith("_length"):
        names = parameters(declaration)
        return f"How many bytes `{names[names.index(name) - 1]}` has."
    sys.exit(f"nothing says what `{name}` is: add it to the comment, or to USUAL\n{declaration}")


def first_page(top: str) -> list[str]:
    """The comment at the top of the core, as the first page."""
    lines = ["@mainpage plexindex in C", ""]
    for line in top.split("\n * Functions\n")[0].splitlines()[1:]:
        text = re.sub(r"^ \* ?", "", line)
        heading = re.match(r"(\w+): (.*)", text)
        if heading and heading[1] != "plexindex":
            lines += ["", f"@par {heading[1]}", sentence(heading[2])]
        elif not text.startswith("Generated"):
            lines.append(text.strip())
    lines += ["", "@par Where to begin", "plexindex_open(), plexindex_query_init(), plexindex_match_path().", ""]
    for header in (CORE, MORE):
        own = dict.fromkeys(functions(header).values())
        lines += ["", f"@par #include <{header.name}>", *(f"- @ref {label(title)}" for title in own)]
    lines += ["", "@par Also", *(f"- @ref {label(title)}" for title in OTHER)]
    for title in GROUPS:
        lines += ["", f"@defgroup {label(title)} {title}"]
    return lines


def about_file(top: str) -> list[str]:
    """What the comment at the top of a header says of it."""
    return paragraphs_of(re.sub(r"^ \* ?", "", top, flags=re.MULTILINE).splitlines()[1:])[:1]


def constants(lines: list[str]) -> list[str]:
    """Constants that belong together, from the line above them on."""
    heading = HEADING.match(lines[0])
    assert heading is not None
    group = group_of(heading[2] or heading[1])
    shown = [*marked([f"@addtogroup {group}", "@{", f"@name {heading[1]}", "@{"]), ""]
    comment: list[str] = []
    for line in lines[1:]:
        if line.startswith("//"):
            comment.append(line[2:].strip())
            continue
        define = re.match(r"(#define .*?)(?: // (.*))?$", line)
        if define is None or bool(comment) == bool(define[2]):
            sys.exit(f"this constant needs one comment: {line}")
        shown += [*marked([sentence(" ".join(comment) or define[2])]), define[1], ""]
        comment = []
    return [*shown, *marked(["@}", "@}"]), ""]


def field(line: str) -> str:
    """A line of a struct or enum."""
    above = re.match(r"( +)// (.*)", line)
    if above:
        return f"{above[1]}/// {above[2]}"
    return re.sub(r"(?<=[;,]) // (\S.*)", lambda text: f" ///< {sentence(text[1])}", line)


def main() -> None:
    """Prints a header for doxygen."""
    file = Path(sys.argv[1])
    top, rest = re.split(r"(?<=\*/)\n", file.read_text(encoding="utf-8").lstrip(), maxsplit=1)
    shown = marked(["@file", *(first_page(top) if file.name == CORE.name else about_file(top))])
    for block in re.sub(r"\n{2,}", "\n\n", rest).split("\n\n"):
        lines = block.splitlines()
        if HEADING.match(lines[0]):
            shown += constants(lines)
            continue
        behind = re.match(r"(#define .*?) // (.*)$", block)
        if behind:
            # A constant alone, with its comment behind it.
            lines = [f"// {behind[2]}", behind[1]]
        above = next((number for number, line in enumerate(lines) if not line.startswith("//")), None)
        if above == 0:
            shown += [*lines, ""]
        elif above is not None:
            declaration = " ".join(" ".join(lines[above:]).split())
            shown += comment_for([line[2:].strip() for line in lines[:above]], re.split(r"[;{]", declaration)[0])
            is_struct = re.match(r"typedef (struct|enum)", lines[above]) is not None
            shown += [*(map(field, lines[above:]) if is_struct else lines[above:]), ""]
    print("\n".join(shown))


if __name__ == "__main__":
    main()
