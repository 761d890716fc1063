"""Step 3: removes Stash2Plex's tests of three functions that only tests use. Run it in the checkout."""

import ast
from pathlib import Path

CLASSES = {
    "tests/plex/test_matcher.py": ("TestItemHasFile", "TestFindPlexItemByPath"),
    "tests/test_matcher.py": ("TestCachedItemHasFile",),
    "tests/test_plex_integration.py": ("TestMatcher",),
}
IMPORTED = ("_item_has_file,", "find_plex_item_by_path,")

for name, classes in CLASSES.items():
    file = Path(name)
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.ClassDef) and node.name in classes:
            del lines[node.lineno - 1 : node.end_lineno]
    kept = (line for line in lines if line.strip() not in IMPORTED)
    file.write_text("".join(kept), encoding="utf-8")
