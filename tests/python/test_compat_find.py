"""The drop-in's function over mocks: what it asks, in what order, and what it makes of failures and odd inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from compat_items import KEY, NotFound, asked, item, section
from plexapi.exceptions import BadRequest, Unauthorized
from plexapi.exceptions import NotFound as PlexNotFound
from plexindex._compat.titles import contradicts, titles
from plexindex.compat import MatchCache, MatchConfidence, PlexCache, find_plex_items_with_confidence

ALIEN = item("/library/metadata/1", "Alien", "/plex/movies/Alien (1979)/Alien (1979).mkv")
HEAT = item("/library/metadata/2", "Heat", "/plex/movies/Heat (1995)/movie.mkv", "/plex/movies/Heat (1995)/extra.mkv")
RONIN = item("/library/metadata/3", "Ronin", "/plex/movies/Ronin (1998)/movie.mkv")
WINDOWS = item("/library/metadata/4", "Fargo", "M:\\Movies\\Fargo (1996)\\Fargo (1996).mkv")
ITEMS = [ALIEN, HEAT, RONIN, WINDOWS]


@pytest.fixture
def plex(tmp_path: Path) -> Iterator[PlexCache]:
    cache = PlexCache(tmp_path)
    yield cache
    cache.close()


@pytest.fixture
def matches(tmp_path: Path) -> Iterator[MatchCache]:
    cache = MatchCache(tmp_path)
    yield cache
    cache.close()


def test_a_recorded_match_is_one_request(matches: MatchCache, plex: PlexCache) -> None:
    library = section(ITEMS)
    matches.set_match("Movies", "/stash/x.mkv", "/library/metadata/1")
    found = find_plex_items_with_confidence(library, "/STASH/X.mkv", match_cache=matches, library_cache=plex)
    assert found == (MatchConfidence.HIGH, ALIEN, [ALIEN])
    assert found[0].value == "high"
    assert asked(library) == ["fetchItem"]
    matches.set_match("Movies", "/stash/x.mkv", "2")
    assert find_plex_items_with_confidence(library, "/stash/x.mkv", match_cache=matches)[1] is HEAT
    library.fetchItem.assert_called_with(2)


def test_a_recorded_match_that_is_gone_is_forgotten(matches: MatchCache) -> None:
    library = section(ITEMS, found=lambda title: [ALIEN] if title == "Alien" else [])
    path = "/stash/Alien (1979).mkv"
    for gone in (NotFound("(404) not_found"), PlexNotFound("x"), Exception("404")):
        matches.set_match("Movies", path, "/library/metadata/99")
        library.fetchItem.side_effect = gone
        assert find_plex_items_with_confidence(library, path, match_cache=matches)[1] is ALIEN
        assert matches.get_match("Movies", path) is None


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (ConnectionError, ConnectionError),
        (TimeoutError, TimeoutError),
        (Unauthorized, Unauthorized),
        (BadRequest, BadRequest),
        (RuntimeError, RuntimeError),
    ],
)
def test_a_server_that_cannot_be_asked_changes_nothing(
    matches: MatchCache, plex: PlexCache, failure: type[Exception], raised: type[Exception]
) -> None:
    library = section(ITEMS)
    matches.set_match("Movies", "/x.mkv", "/library/metadata/1")
    library.fetchItem.side_effect = failure("no")
    with pytest.raises(raised):
        find_plex_items_with_confidence(library, "/x.mkv", match_cache=matches)
    assert matches.get_match("Movies", "/x.mkv") == "/library/metadata/1"
    library.search.side_effect = failure("no")
    with pytest.raises(raised):
        find_plex_items_with_confidence(library, "/y.mkv", library_cache=plex)
    library.search.side_effect, library.all.side_effect = None, failure("no")
    with pytest.raises(raised):
        find_plex_items_with_confidence(library, "/y.mkv", library_cache=plex)
    assert plex.get_library_items("Movies") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/plex/movies/Alien (1979)/Alien (1979).mkv", ALIEN),
        ("/stash/movies/Alien (1979)/ALIEN (1979).MKV", ALIEN),
        ("/elsewhere/alien (1979).mkv", ALIEN),
        ("/stash/Heat (1995)/movie.mkv", HEAT),
        ("/stash/ronin (1998)/Movie.mkv", RONIN),
        ("/stash/Fargo (1996)/Fargo (1996).mkv", WINDOWS),
        ("M:\\Movies\\Fargo (1996)\\Fargo (1996).mkv", WINDOWS),
        ("/x/extra.mkv", HEAT),
    ],
)
def test_a_listed_file_is_found_however_it_is_listed(plex: PlexCache, path: str, expected: Any) -> None:
    # From the stored listing: one request, by key.
    plex.set_library_items("Movies", ITEMS)
    library = section(ITEMS)
    assert find_plex_items_with_confidence(library, path, library_cache=plex) == ("high", expected, [expected])
    assert asked(library) == ["fetchItem"]
    # From fresh search results, stored ones, and a fresh listing.
    library = section(ITEMS, found=lambda _: ITEMS)
    assert find_plex_items_with_confidence(library, path) == ("high", expected, [expected])
    assert asked(library) == ["search"]
    plex.clear()
    for _ in range(2):
        assert find_plex_items_with_confidence(library, path, library_cache=plex)[1] is expected
    assert asked(library) == ["search", "search", "fetchItem"]
    library = section(ITEMS)
    assert find_plex_items_with_confidence(library, path)[1] is expected
    assert asked(library)[-1] == "all"


def _episode(show: str, season: int, number: int, path: str) -> Any:
    mock = item("/library/metadata/7", "Pilot", path)
    mock.type, mock.grandparentTitle, mock.parentIndex, mock.index = "episode", show, season, number
    return mock


@pytest.mark.parametrize(
    ("path", "confidence"),
    [
        ("/stash/Some Show/Season 17/S17E21.mkv", "high"),
        ("/stash/some show (2001)/Season 17/S17E21.mkv", "high"),
        ("/stash/S17E21.mkv", "high"),
        ("/stash/Other Show/Season 17/S17E21.mkv", "low"),
        ("/stash/Some Show/Season 16/S17E21.mkv", "low"),
        # Where the library would list it as it is.
        ("/plex/tv/New Show/Season 17/S17E21.mkv", "low"),
    ],
)
def test_a_path_that_speaks_against_its_single_item_is_low(path: str, confidence: str) -> None:
    one = _episode("Some Show", 17, 21, "/plex/tv/Some Show/Season 17/S17E21.mkv")
    library = section([one], "Shows")
    library.locations = ["/plex/tv"]
    found = find_plex_items_with_confidence(library, path)
    assert found == (confidence, one if confidence == "high" else None, [one])


def test_another_year_or_number_speaks_against_an_item() -> None:
    film = {"type": "movie", "year": 1979}
    listed = ["/plex/movies/Alien (1979)/movie.mkv"]
    for path, against in [
        ("/stash/Alien (1979)/movie.mkv", False),
        ("/stash/Alien/movie.mkv", False),
        ("/stash/2019/Alien (1979)/movie.mkv", False),
        ("/stash/Aliens (1986)/movie.mkv", True),
        ("/stash/Alien (1980)/movie.mkv", False),
    ]:
        assert contradicts(path, listed, film) is against, path
    numbers = {"type": "episode", "parentIndex": 1, "index": 2}
    for name, against in [
        ("Show S01E02.mkv", False),
        ("Show S01E01E03.mkv", False),
        ("Show 1x02.mkv", False),
        ("Show.mkv", False),
        ("Show S01E03.mkv", True),
        ("Show S02E02.mkv", True),
    ]:
        assert contradicts(f"/stash/{name}", [f"/plex/{name}"], numbers) is against, name
    lost = {"type": "episode", "grandparentTitle": "Lost", "parentIndex": 1, "index": 2}
    for folder, against in [
        ("Lost", False),
        ("Lost (2004)", False),
        ("Lost 1080p BluRay", False),
        ("Lost - Complete Series", False),
        ("[Group] Lost", False),
        ("Lost Girl", True),
        ("The Lost Room", True),
    ]:
        for season in ("Season 1", "S01"):
            path = f"/stash/{folder}/{season}/S01E02.mkv"
            assert contradicts(path, ["/plex/tv/Lost/Season 1x/S01E02.mkv"], lost) is against, path
    special = {**lost, "parentIndex": 0}
    assert contradicts("/stash/Fringe/Specials/S00E02.mkv", ["/plex/tv/Lost/Specials/S00E02.mkv"], special)
    assert contradicts("/stash/Lost/Specials/S00E02.mkv", ["/plex/tv/Lost/x/S00E02.mkv"], lost)
    office = {**lost, "grandparentTitle": "The Office (US)"}
    assert not contradicts("/stash/Office/Season 1/S01E02.mkv", ["/plex/tv/x/S01E02.mkv"], office)


def test_episodes_and_tracks_are_found(plex: PlexCache) -> None:
    path = "/tv/Show/Season 01/Show - S01E02 - Pilot.mkv"
    for kind, leaf in (("show", "episode"), ("artist", "track")):
        plex.clear()
        library = section([item("9", "Show")])
        library.type, library.key = kind, None
        one = item(f"{KEY}11", "Pilot", path)
        other = item(f"{KEY}12", "Other", "/tv/Show/Season 01/Show - S01E03 - Other.mkv")
        by_key = {one.key: one, other.key: other}
        library.fetchItem.side_effect = by_key.__getitem__
        listing = {None: [one, other], "Pilot": [one]}
        library.search.side_effect = lambda title=None, libtype=None, listing=listing, leaf=leaf: (
            listing.get(title, []) if libtype == leaf else []
        )
        assert find_plex_items_with_confidence(library, path, library_cache=plex)[1] is one
        assert asked(library) == ["search"]
        # One whose title the file does not tell: the leaves are listed, once, and matched inside of the library.
        listing[None].append(item(f"{KEY}13", "x", "/tv/Show/S1/nameless.mkv"))
        by_key[f"{KEY}13"] = listing[None][-1]
        listing[None][-1].grandparentTitle = "Show"
        plex.set_library_items(library.title, library.all())
        found = find_plex_items_with_confidence(library, "/stash/Show/S1/nameless.mkv", library_cache=plex)
        assert found[1] is listing[None][-1]
        library.reset_mock()
        again = find_plex_items_with_confidence(library, "/stash/Show/S1/nameless.mkv", library_cache=plex)
        assert again[1] is listing[None][-1]
        assert asked(library) == ["fetchItem"]
        stored = plex.get_library_items(library.title)
        assert stored is not None
        assert [row["key"] for row in stored] == ["9"], "what the host stored is what it gets"


def test_caches_may_be_mocks() -> None:
    plex, matches = MagicMock(), MagicMock()
    matches.get_match.return_value = None
    plex.get_search_results.return_value = None
    plex.get_library_items.return_value = [
        {"key": "/library/metadata/2", "title": "Heat", "file_paths": ["/a/movie.mkv"]}
    ]
    library = section(ITEMS)
    found = find_plex_items_with_confidence(library, "/b/Movie.mkv", library_cache=plex, match_cache=matches)
    assert found[1] is HEAT
    matches.get_match.assert_called_once_with("Movies", "/b/Movie.mkv")
    matches.set_match.assert_not_called()
    library.all.assert_not_called()
    plex.get_library_items.return_value = None
    assert find_plex_items_with_confidence(library, "/b/alien (1979).mkv", library_cache=plex)[1] is ALIEN
    plex.set_library_items.assert_called_once_with("Movies", ITEMS)
    bare = MagicMock()
    with pytest.raises(PlexNotFound):
        find_plex_items_with_confidence(bare, "/b/c.mkv")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/m/Adventure.mkv", ["Adventure", "m"]),
        ("/m/Alien (1979)/Alien (1979) - 1080p.mkv", ["Alien", "Alien (1979) - 1080p"]),
        ("/m/The.Web.2013.1080p/The.Web.2013.1080p.mkv", ["The Web", "The Web 2013 1080p"]),
        ("/m/Blade Runner 2049 (2017) 4k.mkv", ["Blade Runner 2049", "m", "Blade Runner 2049 (2017) 4k"]),
        ("/m/2001 A Space Odyssey (1968).mkv", ["2001 A Space Odyssey", "m", "2001 A Space Odyssey (1968)"]),
        ("/m/1917.mkv", ["1917", "m"]),
        ("/m/4k.mkv", ["4k", "m"]),
        ("/m/HDR Heroes/Redvdx.mkv", ["Redvdx", "HDR Heroes"]),
        ("M:\\Films\\Heat [1995]\\Heat [1995].mkv", ["Heat", "Heat [1995]"]),
        ("/m/Mr. Robot.mkv", ["Mr. Robot", "m"]),
        ("noending", ["noending"]),
        ("", []),
    ],
)
def test_titles(path: str, expected: list[str]) -> None:
    assert titles(path) == expected


def test_several_that_fit_are_low(plex: PlexCache) -> None:
    library = section(ITEMS)
    plex.set_library_items("Movies", ITEMS)
    assert find_plex_items_with_confidence(library, "/stash/movie.mkv", library_cache=plex) == (
        "low",
        None,
        [HEAT, RONIN],
    )
    assert asked(library) == ["fetchItem", "fetchItem"]
    library = section(ITEMS)
    assert find_plex_items_with_confidence(library, "/stash/movie.mkv") == (MatchConfidence.LOW, None, [HEAT, RONIN])


def test_another_title_or_album_speaks_against_an_item() -> None:
    alien = {"type": "movie", "title": "Alien", "originalTitle": "Alien", "year": 1979}
    listed = ["/plex/movies/Alien (1979)/movie.mkv"]
    for path, against in [
        ("/stash/Alien (1979)/movie.mkv", False),
        ("/stash/Alien.1979.1080p.BluRay/movie.mkv", False),
        ("/stash/films/movie.mkv", False),
        ("/stash/Films 1979/Alien/movie.mkv", False),
        ("/stash/Mad Max (1979)/movie.mkv", True),
        ("/stash/Aliens (1979)/movie.mkv", True),
    ]:
        assert contradicts(path, listed, alien) is against, path
    # The file's own name tells it, whatever its folder is called.
    named = ["/plex/movies/Alien (1979)/Alien.mkv"]
    assert not contradicts("/stash/Horror (1979)/Alien.mkv", named, alien)
    # In another language, as the listed folder has it.
    foreign = {**alien, "title": "Amélie", "originalTitle": None, "year": 2001}
    folder = "Le Fabuleux Destin (2001)"
    assert not contradicts(f"/stash/{folder}/movie.mkv", [f"/plex/{folder}/a/movie.mkv"], foreign)
    intro: dict[str, object] = {
        "type": "track",
        "grandparentTitle": "The Nobodies",
        "parentTitle": "First Light",
        "title": "Intro",
    }
    for path, against in [
        ("/stash/The Nobodies/First Light/01 - Intro.flac", False),
        ("/stash/Nobodies/First Light (1999)/01 - Intro.flac", False),
        ("/stash/The Nobodies/First Light/CD1/01 - Intro.flac", False),
        ("/stash/01 - Intro.flac", False),
        ("/stash/music/01 - Intro.flac", False),
        ("/stash/The Nobodies/Second Night/01 - Intro.flac", True),
        ("/stash/The Nobodies/1999 - Second Night/01 - Intro.flac", True),
        ("/stash/The Nobodies/1999 - First Light/01 - Intro.flac", False),
    ]:
        assert contradicts(path, ["/plex/music/a/b/01 - Intro.flac"], intro) is against, path
