"""A user of plexapi has a list of files, and wants a label on each film that they are."""

import sys

import plexindex
from plexapi.server import PlexServer

url, token, *files = sys.argv[1:]
plex = PlexServer(url, token)
with plexindex.from_server(plex, "cache") as index:
    movies = index.section("movies")
    for file in files:
        match = movies.match(file)
        if match.light:
            print(match.light.title, match.light.ratingKey, [guid.id for guid in match.light.guids][:1])
            match.light.addLabel("seen")  # plexapi's own
        else:
            print(match.status, match.message)
    print(len(movies), "films;", files[0] in movies, movies[files[0]].paths == (files[0],))
