"""Adds plex_auto_languages.py to a checkout of Plex-Auto-Languages: use_episode_files.py CHECKOUT.

`docs/hosts.md` of plexindex describes the change, for commit 0cf7103. The script finds the code to edit by names and
syntax.
"""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

PACKAGE = "plex_auto_languages"
OPEN = "self._episode_files = self._open_episode_files()\n"
DID_CHANGE = """\
if self._episode_files is not None:
    return self._episode_files.did_change(episode)
"""
REFRESH = """\
if self._episode_files is not None:
    added, updated = self._episode_files.refresh(self._plex.get_show_sections())
    self.episode_parts = {}
    self._last_refresh = datetime.now()
    self.save(force=True)
    return added, updated
"""
METHODS = '''
def _open_episode_files(self):
    """Opens the index that finds changed episodes. Returns None if plexindex is missing or does not work."""
    try:
        from plex_auto_languages.episode_files import EpisodeFiles

        # For its own host, the program's session does not verify certificates.
        unverified = bool(getattr(self._plex._session, "whitelist", None))
        return EpisodeFiles(self._plex._plex, self._db_path, accept_invalid_certs=unverified)
    except Exception as error:
        logger.info(f"[Cache] plexindex is not used: {error}")
        return None

def _count_episodes(self):
    return len(self.episode_parts) if self._episode_files is None else self._episode_files.count()
'''


def main(checkout: Path) -> None:
    """Edits the cache module of a checkout."""
    file = checkout / PACKAGE / "plex_server_cache.py"
    text = file.read_text(encoding="utf-8")
    (cache,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    methods = {node.name: node for node in cache.body if isinstance(node, ast.FunctionDef)}
    begin = methods["__init__"]
    opened = next(part for part in begin.body if isinstance(part, ast.Assign) and assigns(part, "_cache_file_path"))
    lock = next(part for part in methods["did_episode_parts_change"].body if isinstance(part, ast.With))
    scan = next(part for part in ast.walk(methods["refresh_library_cache"]) if isinstance(part, ast.Try))
    lines = text.splitlines(keepends=True)

    def put(added: str, line: int, column: int) -> None:
        lines[line:line] = [" " * column + part if part.strip() else part for part in added.splitlines(keepends=True)]

    # Edit from the end to the beginning, so that line numbers stay valid.
    put(METHODS, cache.end_lineno or 0, begin.col_offset)
    put(REFRESH, scan.body[0].end_lineno or 0, scan.body[0].col_offset)
    put(DID_CHANGE, lock.body[0].lineno - 1, lock.body[0].col_offset)
    empty = next(
        part for part in methods["_load_from_database"].body if isinstance(part, ast.If) and is_empty(part.test)
    )
    lines[empty.lineno - 1] = lines[empty.lineno - 1].replace("self.episode_parts", "self._count_episodes()")
    for line in range(opened.lineno, begin.end_lineno or 0):
        lines[line] = lines[line].replace("len(self.episode_parts)", "self._count_episodes()")
    put(OPEN, opened.end_lineno or 0, opened.col_offset)
    file.write_text("".join(lines), encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("plex_auto_languages.py"), file.with_name("episode_files.py"))


def assigns(node: ast.Assign, name: str) -> bool:
    """Returns whether the statement assigns this attribute."""
    return isinstance(node.targets[0], ast.Attribute) and node.targets[0].attr == name


def is_empty(test: ast.expr) -> bool:
    """Returns whether the expression tests if the table of episodes is empty."""
    return (
        isinstance(test, ast.UnaryOp)
        and isinstance(test.operand, ast.Attribute)
        and test.operand.attr == "episode_parts"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
