"""The walk over folders by Plex's rules: names, `.plexignore`, links, twins, and folders of several libraries."""

from __future__ import annotations

import errno
import os
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import makes_links
from disk import make, set_size
from plexindex.compare import Difference
from plexindex.compare.difference import without_replaced
from plexindex.compare.rules import RULES, Ignored, extensions_of, is_media, rule_for_file, rule_for_folder, rules_of
from plexindex.compare.walk import Location, Place, Scope, walk

MOVIES, MUSIC = rules_of(["movie"], RULES), rules_of(["artist"], RULES)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        (b"a.MKV", "movie photo other"),
        (b"a.b.dvr-ms", "movie photo other"),
        (b"a.flac", "artist other"),
        (b"a.jpeg", "photo other"),
        (b"a.rm", "movie artist photo other"),
        (b"a.mkv.part", ""),
        (b"mkv", ""),
        (b"a.", ""),
        (b"a.very-long", ""),
    ],
)
def test_media_have_the_extensions_of_their_library(name: bytes, kinds: str) -> None:
    every = ("movie", "show", "artist", "photo", "other")
    found = [kind for kind in every if is_media(name, extensions_of([kind]))]
    assert [kind for kind in found if kind != "show"] == kinds.split()
    assert ("show" in found) == ("movie" in found)
    assert is_media(name, extensions_of([])) == bool(kinds), "outside all libraries, all media count"
    # A folder of two libraries has the media of both.
    both = is_media(name, extensions_of(["artist", "show"]))
    assert both == bool({"artist", "show"} & set(found))


FOLDERS = {
    "system": ("@eaDir", "LOST+FOUND", ".AppleDouble", "A Film.itlp", "My.photoslibrary", "#recycle"),
    "hidden": (".hidden",),
    "unpacking": ("_UNPACK_Film", "Film_failed_"),
    "discs": ("BDMV", "video_ts"),
    "samples": ("Sample", "!sample x"),
    "extras": (
        "Extras", "extra - cut", "Bonus", "The Bonus Disc", "Interviews", "Deleted", "Deleted Scenes", "deleted.scene",
        "DeletedScenes", "Behind The Scenes", "behindthescenes", "Shorts", "Trailer\u00e9",
    ),
    None: (
        "VIDEO_TS2", "Extraction (2020)", "extras\u00e9", "Interviewing", "Deleted Scenes of it", "Behind The Scene",
        "Short Circuit (1986)", "Film (2001)", "$RECYCLE.BIN", "s",
    ),
}  # fmt: skip


FILES = {
    "hidden": (".x.mkv",),
    "samples": ("film-sample.mkv", "sample.film.mkv", "resample sample.mkv"),
    "extras": ("film-trailer.mkv", "film-Short.mkv", "movie-trailer 2.mkv", "trailer", "trailers"),
    None: ("resampled.mkv", "trailer.mkv", "film.mkv"),
}


def each(rules: Mapping[str | None, Sequence[str]]) -> pytest.MarkDecorator:
    """A test's parameters: each name, with the rule that it is under."""
    return pytest.mark.parametrize(("name", "rule"), [(name, rule) for rule, names in rules.items() for name in names])


@each(FOLDERS)
def test_folders_are_ignored_by_their_names(name: str, rule: str | None) -> None:
    assert rule_for_folder(name.encode(), MOVIES, at_root=False) == rule
    # No rule for videos applies to music.
    expected = rule if rule in ("system", "hidden", "unpacking") else None
    assert rule_for_folder(name.encode(), MUSIC, at_root=False) == expected
    assert rule_for_folder(name.encode(), frozenset(), at_root=False) is None


def test_folders_in_a_library_s_own_folder_and_names_of_several_rules() -> None:
    assert rule_for_folder(b"$RECYCLE.BIN", MOVIES, at_root=True) == "system"
    assert rule_for_folder(b"Extras", MOVIES, at_root=True) is None
    without = MOVIES - {"system"}
    assert rule_for_folder(b".AppleDouble", without, at_root=False) == "hidden"


@each(FILES)
def test_files_are_ignored_by_their_names(tmp_path: Path, name: str, rule: str | None) -> None:
    path = os.fsencode(make(tmp_path / name))
    assert rule_for_file(path, MOVIES) == rule
    assert rule_for_file(path, MUSIC) == (rule if rule == "hidden" else None)
    assert rule_for_file(path, ()) is None


def test_files_are_ignored_by_their_sizes(tmp_path: Path) -> None:
    assert rule_for_file(os.fsencode(make(tmp_path / "empty.mkv", b"")), MOVIES) == "empty"
    assert rule_for_file(os.fsencode(tmp_path / "gone.mkv"), MOVIES) == "empty"
    large = set_size(make(tmp_path / "large sample.mkv"), 300 << 20)
    assert rule_for_file(os.fsencode(large), MOVIES) is None
    set_size(large, (300 << 20) - 1)
    assert rule_for_file(os.fsencode(large), MOVIES) == "samples"


@pytest.mark.parametrize(
    ("line", "path", "ignores"),
    [
        ("*.avi", "a/b/X.AVI", "file"),
        ("*.avi", "x.avi.mkv", ""),
        ("[!a-c]x", "dx", "file"),
        ("[z-a]x", "bx", ""),
        ("[x", "[x", "file"),
        ("a.b", "aXb", ""),
        ("\\#x", "#x", "file"),
        ("#x", "#x", ""),
        ("  x.mkv \r", "x.mkv", "file"),
        ("!x.mkv", "x.mkv", ""),
        ("/x.mkv", "x.mkv", ""),
        ("Left/*", "Left", "file folder"),
        ("Left/*", "Left/x", "file folder"),
        ("Left/*", "left/x", ""),
        ("Left/*", "Other/Left", ""),
        ("Left/*", "Left/x/y", ""),
        ("a/[+-0]", "a/b", ""),
        ("a/*/c", "a/b/c", "file folder"),
        ("a/*/c", "a/bb", "file folder"),
        ("Kept/", "Kept", "file folder"),
        ("x", "../x", ""),
    ],
)
def test_a_plexignore_is_no_gitignore(line: str, path: str, ignores: str) -> None:
    folder = os.sep.join(("", "m", "n"))
    full = os.path.normpath(os.path.join(folder, *path.split("/"))).encode()
    ignored = Ignored(folder.encode(), line.encode())
    assert (ignored.line_for(full, is_folder=False) is not None) == ("file" in ignores)
    assert (ignored.line_for(full, is_folder=True) is not None) == ("folder" in ignores)


@makes_links
def test_a_plexignore_with_names_that_are_not_utf_8() -> None:
    ignored = Ignored(b"/m/", b"\n# none\nodd*\xff?.mkv\n")
    assert ignored.line_for(b"/m/odd \xfe\xff\xfd.mkv", is_folder=False) == b"'odd*\xff?.mkv' in /m/.plexignore"


def test_many_names_in_a_plexignore_cost_no_more_than_few() -> None:
    text = "First?.mkv\n" + "".join(f"Film {number}.mkv\nshows/{number}.mkv\n" for number in range(20_000))
    ignored = Ignored(b"/m", f"{text}film 7.MKV\nFilm*\n\u0130x.mkv\n".encode())

    def line(name: str) -> str | None:
        found = ignored.line_for(os.path.join("/m", *name.split("/")).encode(), is_folder=False)
        return None if found is None else found.decode().partition("'")[2].rpartition("'")[0]

    begun = time.monotonic()
    assert not any(line(f"other {number}.mkv") for number in range(20_000))
    assert time.monotonic() - begun < 5, "each name was compared with each line"
    # The first line that matches is reported, plain or not.
    assert line("FILM 7.mkv") == "Film 7.mkv"
    assert line("first1.mkv") == "First?.mkv"
    assert line("Film x.mkv") == "Film*"
    assert line("shows/9.mkv") == "shows/9.mkv"
    # A character that is longer in lower case is compared as it is.
    assert line("\u0130X.mkv") == "\u0130x.mkv"
    assert line("i\u0307x.mkv") is None


def test_names_differ_only_in_what_other_systems_replace() -> None:
    def are_alike(shown: str | bytes, listed: str) -> bool:
        shown = shown.encode() if isinstance(shown, str) else shown
        return without_replaced(shown) == without_replaced(listed.encode())

    title = "Mission: Impossible?"
    assert are_alike("Mission\uf022 Impossible\uf025", title)
    assert are_alike("mission\uf03a impossible\uf03f", title)
    assert are_alike("Mission\uff1a Impossible\uff1f", title)
    assert are_alike("Mission\ua789 Impossible_", title)
    assert are_alike("Mission_ Impossible_", title)
    for other in ("Mission- Impossible-", "Mission Impossible?", f"{title} 2"):
        assert not are_alike(other, title)
    # Bytes that are not UTF-8 are replaced by any number of characters.
    assert are_alike(b"Caf\xe9\xe8", "caf\ufffd")


def scope_of(*folders: Path, others: tuple[Path, ...] = ()) -> Scope:
    """A scope with libraries of films in these folders, and with other libraries, which are not compared."""
    films: list[Any] = [SimpleNamespace(kind="movie", title="Films", section="1")]
    locations = [Location(os.fsencode(folder), RULES, films) for folder in folders]
    locations += [Location(os.fsencode(folder), RULES, (), films) for folder in others if folder not in folders]
    return Scope(locations, RULES)


class Seen:
    """What a walk found below a folder, with paths from there."""

    def __init__(self, top: Path, *locations: Path, others: tuple[Path, ...] = ()) -> None:
        found = list(walk(scope_of(*(locations or (top,)), others=others), os.fsencode(top)))
        media = [one for one in found if isinstance(one, Place)]
        unread = [one for one in found if isinstance(one, Difference)]

        def below(path: bytes | str) -> str:
            return Path(os.path.relpath(os.fsdecode(path), top)).as_posix()

        self.media = sorted(below(one.path) for one in media)
        self.unread = sorted((one.reason, below(one.path)) for one in unread)
        self.details = {below(one.path): one.message for one in unread}
        self.places = {below(one.path): os.fsdecode(one.location.folder) for one in media}


def test_a_plexignore_holds_for_its_folder(tmp_path: Path) -> None:
    make(tmp_path / ".plexignore", b"Trash/*\n*.avi\n")
    make(tmp_path / "Show" / ".plexignore", b"Left/*\nx.mkv\n")
    for name in ("Trash/a.mkv", "Show/Left/a.mkv", "Show/Right/a.mkv", "Other/Left/a.mkv"):
        make(tmp_path / name)
    seen = Seen(tmp_path)
    assert seen.media == ["Other/Left/a.mkv", "Show/Right/a.mkv"]
    assert seen.unread == [("plexignore", "Show/Left"), ("plexignore", "Trash")]
    assert seen.details["Show/Left"] == f"'Left/*' in {tmp_path / 'Show' / '.plexignore'}"
    # A file that is given is judged by all folders up to the library's.
    scope = scope_of(tmp_path)

    def rule(name: str) -> str | None:
        ruling = scope.ruling_for_path(os.fsencode(make(tmp_path / name)))
        return ruling and ruling[0]

    assert rule("Show/x.mkv") == "plexignore"
    assert rule("Show/Right/x.mkv") is None
    assert rule("Other/x.avi") == "plexignore"
    assert rule("Trash/b.mkv") == "plexignore"
    assert rule("Other/Extras/deep/b.mkv") == "extras"
    assert rule("Other/notes.txt") == "extension"
    assert rule("Other/b.mkv") is None


def test_locations_below_a_folder_that_is_ignored_are_walked(tmp_path: Path) -> None:
    for name in ("inner/a.mkv", "inner/deep/a.mkv", "x.mkv"):
        make(tmp_path / ".mounts" / name)
    for name in (".plexignore", "x.mkv", "mine/a.mkv"):
        make(tmp_path / "theirs" / name)
    inner, deep, mine = (tmp_path / name for name in (".mounts/inner", ".mounts/inner/deep", "theirs/mine"))
    seen = Seen(tmp_path, tmp_path, inner, deep, mine, others=(tmp_path / "theirs",))
    assert seen.places == {
        ".mounts/inner/a.mkv": str(inner),
        ".mounts/inner/deep/a.mkv": str(deep),
        "theirs/mine/a.mkv": str(mine),
    }
    assert seen.unread == [("hidden", ".mounts")]


def test_nothing_is_reported_in_the_folder_of_another_library(tmp_path: Path) -> None:
    for name in ("theirs/.x", "theirs", "theirs/mine", "more", ".hidden/more"):
        make(tmp_path / name / "a.mkv")
    others = tuple(tmp_path / name for name in ("theirs", "more", ".hidden/more"))
    seen = Seen(tmp_path, tmp_path / "theirs" / "mine", others=others)
    assert seen.media == ["theirs/mine/a.mkv"]
    assert seen.unread == [("hidden", ".hidden")]


@makes_links
def test_a_real_folder_is_read_once_and_before_any_link(tmp_path: Path) -> None:
    films, pool = tmp_path / "films", tmp_path / "pool"
    for name in ("pool/T/a.mkv", "pool/T/sub/a.mkv", "films/real/a.mkv", "films/z/deep/a.mkv"):
        make(tmp_path / name)
    for link, target in {"a link": films / "real", "b": pool / "T", "c": pool / "T", "z/deep/d": pool / "T/sub",
                         "z/up": films, "none": tmp_path / "none", "loop": Path("loop")}.items():  # fmt: skip
        (films / link).symlink_to(target)
    seen = Seen(films)
    assert seen.media == ["b/a.mkv", "b/sub/a.mkv", "real/a.mkv", "z/deep/a.mkv"]
    assert seen.unread == [("linked", "a link"), ("linked", "c"), ("linked", "z/deep/d"), ("loop", "z/up")]
    assert f"leads to {films / 'real'}, " in seen.details["a link"]
    # Plex lists a folder in each library that leads to it.
    make(tmp_path / "other" / "x.mkv")
    (tmp_path / "other" / "here").symlink_to(films / "real")
    assert "other/here/a.mkv" in Seen(tmp_path, films, tmp_path / "other").media


def test_names_that_are_one_to_the_index(tmp_path: Path) -> None:
    twins = [make(tmp_path / name) for name in ("A/x/y.mkv", "a/z.mkv", "b/\u00e9.mkv", "b/e\u0301.mkv")]
    if len(os.listdir(tmp_path)) < 3:
        pytest.skip("this disk does not tell such names apart")
    make(tmp_path / "b" / "x.mkv")
    for scope in (scope_of(tmp_path), scope_of(*(tmp_path / name for name in "Aab"))):
        found = [one for one in walk(scope, os.fsencode(tmp_path)) if isinstance(one, Place)]
        assert sorted(os.fsdecode(one.path) for one in found if one.is_twin) == sorted(map(str, twins))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    path = make(tmp_path / "x.mkv")
    seen = Seen(path, tmp_path)
    assert seen.unread == [("unreadable", ".")]
    if os.name != "nt":
        assert seen.details["."].endswith(os.strerror(errno.ENOTDIR))
    assert Seen(tmp_path / "gone", tmp_path).unread == [], "it may have disappeared during the walk"


def plant(top: Path, chance: random.Random) -> list[Path]:
    """Makes a random tree of folders with a film in each, and links between them. Returns the folders."""
    names = ["a", "A", "B b", "e\u0301", "\u00e9", ".x", "Extras", "#recycle", "z"]
    folders = [top / "media"]
    for number in range(chance.randrange(1, 14)):
        folders.append(make(chance.choice(folders) / chance.choice(names) / f"{number}.mkv").parent)
    for number in range(chance.randrange(24)):
        link = chance.choice(folders) / f"link {number % 7}"
        if not os.path.lexists(link):
            link.symlink_to(chance.choice([*folders, top, top / "media" / "none"]))
    return folders


def reachable(root: Path) -> set[str]:
    """The media below a folder, also through links, each by its real path."""
    pending, seen, media = [root.resolve()], set(), set()
    while pending:
        folder = pending.pop()
        if folder in seen:
            continue
        seen.add(folder)
        for entry in folder.iterdir():
            target = entry.resolve()
            above = target in root.resolve().parents
            if target.is_file():
                media.add(str(target))
            elif target.is_dir() and not above:
                rule = rule_for_folder(entry.name.encode(), MOVIES, at_root=folder == root.resolve())
                pending += [] if rule else [target]
    return media


@pytest.mark.parametrize("seed", range(60))
@makes_links
def test_any_tree_with_links_is_read_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    root = chance.choice(plant(tmp_path.resolve(), chance))
    found = Counter(str((root / path).resolve()) for path in Seen(root).media)
    assert set(found) == reachable(root)
    assert set(found.values()) <= {1}


@pytest.mark.parametrize("seed", range(60))
@makes_links
def test_any_libraries_are_walked_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    top = tmp_path.resolve()
    folders = plant(top, chance)
    locations = {chance.choice(folders): chance.random() < 0.5 for _ in range(3)}
    compared = [folder for folder, is_compared in locations.items() if is_compared] or [top / "none"]
    others = tuple(folder for folder in locations if folder not in compared)
    for root in (top, chance.choice(folders)):
        seen = Seen(root, *compared, others=others)
        read = [(seen.places[path], str((root / path).resolve())) for path in seen.media]
        assert len(read) == len(set(read)), "a library's folder leads to a file twice"
        assert not {place for place, _ in read} & set(map(str, others))
