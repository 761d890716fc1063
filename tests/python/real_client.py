"""What the real `plexapi` client does with a server that plays Plex.

A module imports these tests, and has the fixture `server` with 250 movies, 45 episodes of 2 shows, 25 tracks of an
artist and 120 photos in the sections 1 to 4.
"""

from __future__ import annotations

from typing import Any

import pytest
from plexapi.exceptions import NotFound, Unauthorized
from plexapi.server import PlexServer


@pytest.fixture
def client(server: Any) -> PlexServer:
    """The client, connected."""
    return PlexServer(server.url, server.token)


def test_connect_and_sections(server: Any) -> None:
    client = PlexServer(server.url + "/", server.token)
    assert len(client.machineIdentifier) == 40
    movies = client.library.section("Movies")
    assert [s.title for s in client.library.sections()] == ["Movies", "TV Shows", "Music", "Photos"]
    assert movies.type == "movie"
    assert movies.locations == ["/data/movies"]
    assert movies.refreshing is False
    assert client.identity().machineIdentifier == client.machineIdentifier
    assert client.activities[0].type == "butler"


def test_wrong_tokens_are_refused(server: Any) -> None:
    for token in ("wrong", None):
        with pytest.raises(Unauthorized):
            PlexServer(server.url, token)


def test_files_and_guids_cost_nothing_more(server: Any, client: PlexServer) -> None:
    movies = client.library.section("Movies").all()
    server.counted()
    found = {part.file for m in movies for media in m.media for part in media.parts}
    assert found == {row["path"] for row in server.files(1)}
    assert all(any(guid.id.startswith("imdb://tt") for guid in m.guids) for m in movies)
    assert server.counted() == {}


def test_search_and_get(server: Any, client: PlexServer) -> None:
    movies = client.library.section("Movies")
    title = server.files(1)[17]["title"]
    assert [m.title for m in movies.search(title=title.lower())] == [title]
    assert movies.get(title).title == title
    assert movies.search(title="no such title") == []
    with pytest.raises(NotFound):
        movies.get("no such title")


def test_search_with_filters(client: PlexServer) -> None:
    movies = client.library.section("Movies")
    found = movies.search(sort="addedAt:desc", maxresults=5)
    times = [m.addedAt for m in found]
    assert len(found) == 5
    assert times == sorted(times, reverse=True)
    newest = found[0]
    assert newest in movies.search(year=newest.year)
    assert movies.search(guid=newest.guid) == [newest]
    assert movies.getGuid(newest.guid) == newest
    assert newest in movies.search(**{"addedAt>>": newest.addedAt.replace(year=2019)})
    assert newest in movies.search(genre=newest.genres[0].tag)
    assert movies.search(**{"title==": newest.title}) == [newest]
    assert len(movies.search(filters={"and": [{"year>>": 1900}, {"title": newest.title}]})) == 1
    with pytest.raises(NotFound):
        movies.search(nonsense=1)
    assert len(movies.recentlyAdded(maxresults=7)) == 7


def test_sizes_and_scans(client: PlexServer) -> None:
    shows = client.library.section("TV Shows")
    assert shows.totalSize == 2
    assert shows.totalViewSize(libtype="episode") == 45
    before = int(client.query("/library/sections")[1].attrib["scannedAt"])
    shows.update()
    assert int(client.query("/library/sections")[1].attrib["scannedAt"]) > before
    shows.emptyTrash()


def test_single_items(server: Any, client: PlexServer) -> None:
    movies = client.library.section("Movies")
    key = int(server.files(1)[3]["ratingKey"])
    item = client.fetchItem(key)
    assert item.ratingKey == key
    assert item.librarySectionID == movies.key
    assert client.fetchItem(f"/library/metadata/{key}") == item
    with pytest.raises(NotFound):
        client.fetchItem(999_999_999)
    items = client.fetchItems([key + 2, key, 999_999_999, key + 1])
    assert [i.ratingKey for i in items] == [key + 2, key, key + 1]
    many = client.fetchItems([key + n for n in range(150)])
    assert len(many) == 150


def test_batch_edits(client: PlexServer) -> None:
    movies = client.library.section("Movies")
    items = movies.all(maxresults=3)
    for item in items:
        item.reload()
    movies.batchMultiEdits(items).editTitle("Same").editSummary("S & <T> \u00e9").addLabel("to watch").addGenre(
        "Noir"
    ).saveMultiEdits()
    for item in items:
        genres = {genre.tag for genre in item.genres}
        item.reload()
        assert item.title == "Same"
        assert item.summary == "S & <T> \u00e9"
        assert [label.tag for label in item.labels] == ["To Watch"]
        assert {genre.tag for genre in item.genres} == genres | {"Noir"}
        locked = {field.name for field in item.fields if field.locked}
        assert {"title", "summary", "label", "genre"} <= locked
    assert len(movies.search(label="To Watch")) == 3
    items[0].removeLabel("To Watch")
    items[0].reload()
    assert items[0].labels == []
    assert len(movies.search(label="To Watch")) == 2


def test_single_edits(client: PlexServer) -> None:
    item = client.library.section("TV Shows").all()[0]
    item.editTitle("Another")
    assert item.reload().title == "Another"
    assert {e.grandparentTitle for e in item.episodes()} == {"Another"}
    item.batchEdits().editSortTitle("ZZZ").editStudio("Studio").saveEdits()
    assert item.reload().titleSort == "ZZZ"
    assert client.library.section("TV Shows").all()[-1] == item


def test_shows(server: Any, client: PlexServer) -> None:
    section = client.library.section("TV Shows")
    shows = section.all()
    assert [s.type for s in shows] == ["show", "show"]
    assert sorted(s.leafCount for s in shows) == [5, 40]
    episodes = section.all(libtype="episode")
    assert len(episodes) == 45
    assert {e.media[0].parts[0].file for e in episodes} == {row["path"] for row in server.files(2)}
    show = max(shows, key=lambda s: s.leafCount)
    assert [s.index for s in show.seasons()] == [1, 2, 3, 4]
    assert len(show.episodes()) == 40
    assert show.season(2).episodes()[4].seasonEpisode == "s02e05"
    assert show.episode(season=3, episode=1).show() == show
    assert len(section.searchEpisodes(title="the")) == 45


def test_music(client: PlexServer) -> None:
    section = client.library.section("Music")
    assert [a.type for a in section.all()] == ["artist"]
    assert len(section.albums()) == 3
    tracks = section.searchTracks()
    assert len(tracks) == 25
    assert all(t.media[0].parts[0].file.endswith(".flac") for t in tracks)
    assert len(section.all()[0].tracks()) == 25


def test_photos(client: PlexServer) -> None:
    section = client.library.section("Photos")
    albums = section.all()
    assert len(albums) == 2
    # A listing of photos gives nothing without this argument, which plexapi does not send.
    assert section.all(libtype="photo") == []
    photos = section.fetchItems(f"/library/sections/{section.key}/all?type=13&clusterZoomLevel=1")
    assert len(photos) == 120
    assert photos[0].media[0].parts[0].file.endswith(".jpg")
    assert len(albums[0].photos()) in {20, 100}
