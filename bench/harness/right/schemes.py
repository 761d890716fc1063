"""The naming schemes."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from zlib import crc32

from .collection import Scheme, Work
from .sizes import (
    AUDIOBOOK,
    BLU_RAY,
    CD,
    CLIP,
    EPISODE,
    FILM,
    HALF_CD,
    LOSSLESS,
    MEDIA_CENTER,
    PACKETS,
    PICTURE,
    RAW,
    RESERVED,
    SLOT,
    TUNER,
    VARIABLE,
    WAVE,
    dvd,
    frames,
    one_of,
    radio,
    tape,
    vdr,
    video_cd,
)
from .words import COMMON_TRACKS, GROUPS, NOUNS, PLACES, SHORT, Draw, Film, dotted, file

EDITIONS = ("Director's Cut", "Extended", "Theatrical", "Remastered", "Unrated")
FILM_NAMES = ("movie.mkv", "film.mkv", "video.mp4", "feature.mkv", "main.mkv", "Movie.mkv", "title.mkv", "title00.mkv")
TREE = "<tree>"
EXTRAS = ("Featurettes", "Extras", "Trailers", "Sample", "Deleted Scenes")


def nfd(text: str) -> str:
    """As an old Mac wrote it to the disk."""
    return unicodedata.normalize("NFD", text)


def of(film: Film) -> dict[str, object]:
    """What the server tells of it."""
    return {"title": film.title, "year": film.year}


# Films


def films(pattern: str, draw: Draw, count: int, *, remakes: bool = True) -> Iterator[Work]:
    """A file each, named by a pattern."""
    for film in draw.films(count, remakes=remakes):
        title = file(film.title)
        yield Work(
            of(film),
            [
                pattern.format(
                    t=title,
                    y=film.year,
                    d=dotted(film.title),
                    g=draw.pick(GROUPS),
                    n=draw.random.randint(1_000_000, 9_999_999),
                    q=draw.pick(("720p", "1080p", "2160p")),
                    short="".join(word[0] for word in title.split()).lower(),
                    general=draw.pick((draw.pick(FILM_NAMES), f"film{draw.random.randint(1, count)}.mkv")),
                )
            ],
        )


def beside(pattern: str, draw: Draw, count: int, *, remakes: bool = True) -> Iterator[Work]:
    """As films(), with extras in folders beside some of them: files that Plex does not list as items."""
    for work in films(pattern, draw, count, remakes=remakes):
        yield work
        if draw.chance(0.2):
            folder, name = work.paths[0].split("/", 1)
            yield Work({}, [f"{folder}/{draw.pick(EXTRAS)}/{name}"], listed=False)


def editions(pattern: str, draw: Draw, count: int) -> Iterator[Work]:
    """Several editions of a film, each an item; and versions in several languages, which are files of one item."""
    for film in draw.films(count // 2):
        title = file(film.title)
        plain = pattern.format(t=title, y=film.year, e="").replace(" .", ".").replace(" /", "/")
        stem, dot = plain.rsplit(".", 1)
        paths = [f"{stem} - German.{dot}", f"{stem} - English.{dot}"] if draw.chance(0.3) else [plain]
        yield Work(of(film), paths)
        for edition in draw.random.sample(EDITIONS, draw.random.randint(0, 2)):
            yield Work(of(film), [pattern.format(t=title, y=film.year, e=f"{{edition-{edition}}}")])


def remade(pattern: str, draw: Draw, count: int) -> Iterator[Work]:
    """Two films of each title in two trees, by paths without a year: Plex has one of them, or both, or none."""
    for film in draw.films(count // 2, remakes=False):
        fate = draw.pick(((True, False), (False, True), (True, True), (False, False)))
        for folder, listed in enumerate(fate):
            one = Film(film.title, film.year + folder * draw.random.randint(2, 40))
            path = pattern.format(t=file(film.title), d=dotted(film.title), kids=draw.pick(("Kids", "Classics")))
            yield Work({**of(one), "_folder": folder}, [path], listed=listed)


def unmatched(make: Callable[[Draw, int], Iterator[Work]], draw: Draw, count: int) -> Iterator[Work]:
    """Items that Plex found nothing about: it made their titles of names."""
    agents = ("local://{}", "com.plexapp.agents.none://{}?lang=xn", "tv.plex.agents.none://{}")
    for number, work in enumerate(make(draw, count)):
        work.item["guid"] = draw.pick(agents).format(number)
        yield work


def boxes(draw: Draw, count: int) -> Iterator[Work]:
    """Series of films in a folder that is called by the first."""
    while count > 0:
        first = draw.fresh(draw.title)
        year = draw.year()
        box = file(first) + draw.pick(("", " Collection", " (Trilogy)"))
        dated = draw.chance(0.5)
        for number in range(1, 5):
            title = first if number == 1 else f"{first} {number}"
            folder = f"{file(title)} ({year + number})" if dated else file(title)
            name = draw.pick(FILM_NAMES)
            yield Work({"title": title, "year": year + number}, [f"{box}/{folder}/{name}"])
            count -= 1


def untold(draw: Draw, count: int) -> Iterator[Work]:
    """Neither folders nor names tell a title: some were matched by hand, of others Plex made a title of the name."""
    for film in draw.films(count):
        number = draw.random.randint(1, count)
        path = draw.pick(
            (
                f"{number:04}/movie.mkv",
                f"Disc {number}/film{draw.random.randint(1, count)}.mkv",
                f"{film.year}/{number:02}.mkv",
                f"{number:03}.mkv",
                f"New Folder ({number})/video{draw.random.randint(1, count)}.mp4",
            )
        )
        made = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        yield Work(of(film) if draw.chance(0.5) else {"title": made, "guid": f"local://{number}"}, [path])


def streams(draw: Draw) -> str:
    """The main stream of a Blu-ray: often 00000 to 00012, sometimes any number."""
    return f"{draw.random.randint(0, 12) if draw.chance(0.4) else draw.random.randint(0, 999):05}.m2ts"


def discs(pattern: str, draw: Draw, count: int) -> Iterator[Work]:
    """Disc structures, with or without a second disc of extras."""
    for number, film in enumerate(draw.films(count)):
        folder = pattern.format(t=file(film.title), y=film.year, d=dotted(film.title), number=number)
        stream = f"BDMV/STREAM/{streams(draw)}"
        yield Work(of(film), [f"{folder}/{stream}"])
        if draw.chance(0.15):
            yield Work({}, [f"{folder}/{draw.pick(('Extras', 'Bonus Disc', 'Disc 2'))}/{stream}"], listed=False)


def dvds(draw: Draw, count: int) -> Iterator[Work]:
    """Title sets of DVDs: stacked files."""
    for film in draw.films(count):
        folder = f"{file(film.title)} ({film.year})/VIDEO_TS"
        title_set = draw.random.randint(1, 40)
        parts = range(1, draw.random.randint(2, 4))
        paths = [f"{folder}/VTS_{title_set:02}_{part}.VOB" for part in parts]
        yield Work(of(film), paths, is_stacked=True)


def two_discs(draw: Draw, count: int) -> Iterator[Work]:
    """Films on two CDs: stacked files."""
    for film in draw.films(count):
        folder = f"{file(film.title)} ({film.year})"
        yield Work(of(film), [f"{folder}/CD1.avi", f"{folder}/CD2.avi"], is_stacked=True)


def video_cds(draw: Draw, count: int) -> Iterator[Work]:
    """Films on two Video CDs: stacked files, called as the standard says."""
    for film in draw.films(max(3, count // 4)):
        folder = f"{file(film.title)} ({film.year})"
        yield Work(of(film), [f"{folder}/CD{disc}/AVSEQ01.mpg" for disc in (1, 2)], is_stacked=True)


def foreign_films(script: str, draw: Draw, count: int) -> Iterator[Work]:
    """Titles that are not ASCII, some decomposed on disk."""
    for _ in range(count):
        film = Film(draw.foreign(script), draw.year())
        path = f"{film.title} ({film.year})/{film.title} ({film.year}){draw.pick(('', ' - 1080p'))}.mkv"
        yield Work(of(film), [nfd(path) if script == "accents" or draw.chance(0.3) else path])


# Shows


def episodes(
    pattern: str, draw: Draw, count: int, *, foreign: str = "", namesakes: bool = False, absolute: bool = False
) -> Iterator[Work]:
    """Seasons of shows. Namesakes: each title is that of two shows of different years, one of which Plex has."""
    length = 25 if count < 1000 else 60
    shows = draw.shows(max(4, count // length))
    titles = (draw.foreign(foreign) for _ in range(max(4, count // length))) if foreign else shows
    for title in titles:
        year = draw.year() - 5
        years: list[tuple[int, bool | None]]
        years = [(year, draw.chance(0.5)), (year - 20, False)] if namesakes else [(year, None)]
        if namesakes and not years[0][1]:
            years[1] = (year - 20, True)
        for begun, listed in years:
            running = 0
            for season in range(0 if draw.chance(0.2) else 1, draw.random.randint(2, 3 if length == 25 else 8)):
                group = draw.pick(GROUPS)
                for number in range(1, draw.random.randint(6, 13)):
                    running += 1
                    name = f"{draw.pick(NOUNS)} {draw.pick(PLACES)}".title()
                    yield Work(
                        {"title": name, "show": title, "season": season, "episode": number, "year": begun + season},
                        [
                            pattern.format(
                                tree=TREE,
                                t=file(title),
                                y=begun,
                                d=dotted(title),
                                s=season,
                                e=running if absolute else number,
                                name=name,
                                dotted=dotted(name),
                                g=group,
                                folder="Specials" if season == 0 else f"Season {season:02}",
                                date=f"{begun + season}-{1 + number % 12:02}-{1 + (season * 7 + number) % 28:02}",
                                disc=1 + number // 4,
                                stream=streams(draw),
                            )
                        ],
                        group=f"{title}{begun if namesakes else ''}",
                        listed=listed,
                    )


def abroad(pattern: str, draw: Draw, count: int) -> Iterator[Work]:
    """Two shows of each title, of two countries, by paths without a year: Plex has one of them, or both, or parts."""
    for work in episodes(pattern, draw, count // 2):
        fates = ((True, False), (False, True), (True, True), (None, None))
        for folder, listed in enumerate(fates[crc32(work.group.encode()) % 4]):
            tree = ("US", "UK")[folder]
            in_folder = 0 if TREE in work.paths[0] else folder
            item = {**work.item, "show": f"{work.item['show']} ({tree})", "_folder": in_folder}
            yield Work(item, [path.replace(TREE, tree) for path in work.paths], f"{tree}/{work.group}", listed)


def doubles(draw: Draw, count: int) -> Iterator[Work]:
    """Some files hold two episodes, each an item; the second episode has a file of its own, too, not listed."""
    for work in episodes("{t}/{folder}/S{s:02}E{e:02}.mkv", draw, count):
        number = work.item["episode"]
        if number % 3 == 1:
            work.more = [{**work.item, "episode": number + 1, "title": draw.title()}]
            work.paths = [work.paths[0].replace(".mkv", f"-E{number + 1:02}.mkv")]
        yield replace(work, listed=False) if number % 3 == 2 else work


def recorded(draw: Draw, count: int) -> Iterator[Work]:
    """As VDR does: a folder for each recording, whose files have a number for a name. Long ones are cut."""
    for work in episodes("{t}/{date}.20.15.1-0.rec/{e:05}.ts", draw, count // 3):
        folder = work.paths[0].rsplit("/", 1)[0]
        parts = range(1, draw.pick((1, 1, 2, 2, 3)) + 1)
        yield replace(work, paths=[f"{folder}/{part:05}.ts" for part in parts], is_stacked=True)


def media_center(draw: Draw, count: int) -> Iterator[Work]:
    """As Windows Media Center does: one folder, and names of the title, the channel and the time."""
    for work in episodes("{t}_TV1_{date}_20_00_00.wtv", draw, count // 2):
        yield replace(work, paths=["Recorded TV/" + work.paths[0].replace("-", "_")])


# Music


def tracks(pattern: str, draw: Draw, count: int, *, foreign: str = "") -> Iterator[Work]:
    """Albums of artists; every artist has some tracks again, on other albums."""
    for _ in range(max(3, count // 30)):
        artist = draw.foreign(foreign) if foreign else draw.fresh(draw.title)
        if draw.chance(0.1) and not foreign:
            artist = draw.fresh(lambda: draw.pick(SHORT) if draw.chance(0.7) else draw.title())
        known = [draw.title() for _ in range(4)]
        albums = [artist] if draw.chance(0.2) else []
        albums += [
            draw.foreign(foreign) if foreign else draw.fresh(draw.title) for _ in range(draw.random.randint(1, 4))
        ]
        albums += [f"{albums[0]} (Live)"] if draw.chance(0.2) else []
        albums += ["Greatest Hits"] if draw.chance(0.2) else []
        for album in albums:
            year = draw.year()
            for number in range(1, draw.random.randint(8, 14)):
                title = draw.title()
                if number == 1 and draw.chance(0.5):
                    title = draw.pick(COMMON_TRACKS[:4])
                elif draw.chance(0.1):
                    title = draw.pick(COMMON_TRACKS)
                elif draw.chance(0.25):
                    title = draw.pick(known)
                yield Work(
                    {"title": title, "artist": artist, "album": album, "track": number, "year": year},
                    [pattern.format(a=file(artist), b=file(album), y=year, n=number, t=file(title), c=1 + number // 7)],
                    group=f"{artist}/{album}",
                )


def broadcasts(draw: Draw, count: int) -> Iterator[Work]:
    """Radio programs as some programs fetch them: a folder for each day, and one name for all files."""
    for work in tracks("{a}/{y}-{c:02}-{n:02} {t}/audio.mp3", draw, count // 6):
        yield replace(work, group=str(work.item["artist"]))


def compilations(draw: Draw, count: int) -> Iterator[Work]:
    """Albums of various artists."""
    for _ in range(max(2, count // 15)):
        album = draw.fresh(draw.title)
        for number in range(1, 16):
            artist, title = draw.title(), draw.pick((draw.title(), draw.pick(COMMON_TRACKS)))
            item = {"title": title, "artist": "Various Artists", "album": album, "track": number}
            yield Work(item, [f"Various Artists/{file(album)}/{number:02} - {file(artist)} - {file(title)}.mp3"], album)


def spelled_twice(draw: Draw, count: int) -> Iterator[Work]:
    """Albums in two folders, of two programs, whose names differ in case or in normal form: Plex has one, or both."""
    for work in tracks("{a}/{b}/{n:02} - {t}.flac", draw, count // 2, foreign="accents"):
        fate = crc32(work.group.encode())
        yield replace(work, listed=fate % 3 != 0, item={**work.item, "_folder": 0})
        path = str.lower(work.paths[0]) if fate & 4 else nfd(work.paths[0])
        item = {**work.item, "album": f"{work.item['album']} (Remastered)", "_folder": 0}
        yield Work(item, [path], f"{work.group} again", listed=fate % 3 != 1)


# Photos and clips


def photos(pattern: str, draw: Draw, count: int, *, twins: bool = False) -> Iterator[Work]:
    """Pictures as cameras, telephones and scanners name them."""
    albums = [f"{draw.pick(NOUNS).title()} in {draw.pick(PLACES)}" for _ in range(max(3, count // 40))]
    for _ in range(count):
        album = draw.pick(albums)
        year = 2000 + len(album) % 20
        name = pattern.format(
            a=album,
            y=year,
            m=draw.random.randint(1, 12),
            day=draw.random.randint(1, 28),
            time=f"{draw.random.randint(0, 23):02}{draw.random.randint(0, 59):02}{draw.random.randint(0, 59):02}",
            n=draw.random.randint(1, max(60, count)),
            card=draw.random.randint(100, 104),
            phone=draw.pick(("", "", "", "Phone/", "Old Camera/")),
        )
        title = name.rsplit("/", 1)[1].rsplit(".", 1)[0]
        for folder in (0, 1) if twins else (None,):
            item: dict[str, object] = {"title": title, "album": album, "year": year}
            yield Work(item if folder is None else {**item, "_folder": folder}, [name], group=f"{album} {folder}")


def home_videos(draw: Draw, count: int) -> Iterator[Work]:
    """Clips of a telephone, and among them scenes of tapes, whose numbers begin again in each album."""
    scenes: dict[object, int] = defaultdict(int)
    for clip in photos("{a}/VID_{y}{m:02}{day:02}_{time}.mp4", draw, max(3, count // 2)):
        yield clip
        if draw.chance(0.25):
            album = clip.item["album"]
            scenes[album] += 1
            title = f"Clip {scenes[album]:02}"
            yield Work({**clip.item, "title": title}, [f"{album}/{title}.avi"], clip.group, drawn_by=tape)


SCHEMES = (
    Scheme("Plex's names", "movie", partial(films, "{t} ({y})/{t} ({y}).mkv"), FILM),
    Scheme(
        "Plex's names, ids, quality",
        "movie",
        partial(films, "{t} ({y}) {{imdb-tt{n}}}/{t} ({y}) {{imdb-tt{n}}} - [Bluray-{q}][x264]-{g}.mkv"),
        FILM,
    ),
    Scheme("editions, languages", "movie", partial(editions, "{t} ({y}) {e}/{t} ({y}) {e}.mkv"), FILM),
    Scheme("editions under one name", "movie", partial(editions, "{t} ({y}) {e}/{t}.mkv"), FILM),
    Scheme("scene names", "movie", partial(films, "{d}.{y}.{q}.BluRay.x264-{g}/{d}.{y}.{q}.BluRay.x264-{g}.mkv"), FILM),
    Scheme("scene folders, short names", "movie", partial(films, "{d}.{y}.{q}.WEB.x265-{g}/{g}-{short}-{q}.mkv"), FILM),
    Scheme("flat", "movie", partial(films, "{t} ({y}).mkv"), FILM),
    Scheme("flat, no years", "movie", partial(films, "{t}.mkv", remakes=False), FILM),
    Scheme("general names", "movie", partial(beside, "{t} ({y})/{general}"), FILM),
    Scheme("general names, no years", "movie", partial(beside, "{t}/{general}", remakes=False), FILM),
    Scheme("boxes of a series", "movie", boxes, FILM),
    Scheme("no title anywhere", "movie", untold, FILM),
    Scheme("Blu-ray discs", "movie", partial(discs, "{t} ({y})"), BLU_RAY, of="discs"),
    Scheme("Blu-ray discs, scene folders", "movie", partial(discs, "{d}.{y}.COMPLETE.BLURAY-RVN"), BLU_RAY, of="discs"),
    Scheme("Blu-ray discs, no title", "movie", partial(discs, "DISC_{number:03}"), BLU_RAY, of="discs"),
    Scheme("DVDs", "movie", dvds, dvd, of="discs"),
    Scheme("Chinese, Japanese, Korean", "movie", partial(foreign_films, "cjk"), FILM),
    Scheme("Hebrew, Arabic", "movie", partial(foreign_films, "rtl"), FILM),
    Scheme("accents, NFD on disk", "movie", partial(foreign_films, "accents"), FILM),
    Scheme(
        "Plex's names", "show", partial(episodes, "{t} ({y})/{folder}/{t} ({y}) - S{s:02}E{e:02} - {name}.mkv"), EPISODE
    ),
    Scheme("S01E01", "show", partial(episodes, "{t}/{folder}/S{s:02}E{e:02}.mkv"), EPISODE),
    Scheme(
        "S01E01, namesakes", "show", partial(episodes, "{t} ({y})/{folder}/S{s:02}E{e:02}.mkv", namesakes=True), EPISODE
    ),
    Scheme(
        "S01E01, a location for each show",
        "show",
        partial(episodes, "{folder}/S{s:02}E{e:02}.mkv"),
        EPISODE,
        folders="each",
    ),
    Scheme(
        "scene names",
        "show",
        partial(episodes, "{d}.S{s:02}.1080p.WEB-{g}/{d}.S{s:02}E{e:02}.1080p.WEB-{g}.mkv"),
        EPISODE,
    ),
    Scheme("flat", "show", partial(episodes, "{t} S{s:02}E{e:02}.mkv"), EPISODE),
    Scheme("1x01 and a name", "show", partial(episodes, "{t}/{folder}/{s}x{e:02} {name}.mkv"), EPISODE),
    Scheme("numbers only", "show", partial(episodes, "{t}/{s}/{e:02}.mkv"), EPISODE),
    Scheme(
        "numbers through all seasons",
        "show",
        partial(episodes, "{t}/[{g}] {t} - {e:03} [1080p].mkv", absolute=True),
        EPISODE,
    ),
    Scheme("dates", "show", partial(episodes, "{t}/{folder}/{t} - {date}.mkv"), EPISODE),
    Scheme("discs", "show", partial(episodes, "{t}/{folder}/Disc {disc}/BDMV/STREAM/{stream}"), BLU_RAY, of="discs"),
    Scheme(
        "Japanese, Chinese, Korean", "show", partial(episodes, "{t}/シーズン{s}/第{e:02}話.mkv", foreign="cjk"), EPISODE
    ),
    Scheme(
        "Hebrew, Arabic", "show", partial(episodes, "{t}/{folder}/{t} - S{s:02}E{e:02}.mkv", foreign="rtl"), EPISODE
    ),
    Scheme("Plex's names", "artist", partial(tracks, "{a}/{b} ({y})/{n:02} - {t}.flac"), LOSSLESS),
    Scheme("artist and album in one folder", "artist", partial(tracks, "{a} - {b}/{n:02}. {t}.mp3"), VARIABLE),
    Scheme("discs of an album", "artist", partial(tracks, "{a}/{b}/CD{c}/{n:02} {t}.mp3"), frames),
    Scheme("titles without numbers", "artist", partial(tracks, "{a}/{b}/{t}.mp3"), frames),
    Scheme("numbers only", "artist", partial(tracks, "{a}/{b}/Track {n:02}.wav"), WAVE),
    Scheme("flat", "artist", partial(tracks, "{a} - {b} - {n:02} - {t}.mp3"), VARIABLE),
    Scheme("various artists", "artist", compilations, VARIABLE),
    Scheme(
        "Chinese, Japanese, Korean", "artist", partial(tracks, "{a}/{b}/{n:02} - {t}.flac", foreign="cjk"), LOSSLESS
    ),
    Scheme("by year and album", "photo", partial(photos, "{y}/{a}/IMG_{n:04}.JPG"), PICTURE),
    Scheme("by year", "photo", partial(photos, "{phone}{y}/IMG_{n:04}.JPG"), PICTURE),
    Scheme("memory cards", "photo", partial(photos, "{a}/DCIM/{card}CANON/IMG_{n:04}.JPG"), PICTURE),
    Scheme("dates and times", "photo", partial(photos, "{y}/{m:02}/IMG_{y}{m:02}{day:02}_{time}.jpg"), PICTURE),
    Scheme("scans", "photo", partial(photos, "{a}/scan{n:03}.tif"), one_of(RAW[2])),
    Scheme("two cameras", "photo", partial(photos, "DCIM/{card}CANON/IMG_{n:04}.JPG", twins=True), PICTURE, twins=True),
    Scheme("clips of cameras", "other_videos", partial(photos, "{y}/{a}/MVI_{n:04}.AVI"), CLIP),
    Scheme("clips of telephones", "other_videos", partial(photos, "{phone}{y}/VID_{y}{m:02}{day:02}_{time}.mp4"), CLIP),
    Scheme("remakes, no years", "movie", partial(remade, "{t}/{t}.mkv"), FILM, twins=True),
    Scheme("remakes, no years, flat", "movie", partial(remade, "{kids}/{d}.mkv"), FILM, twins=True),
    Scheme(
        "unmatched: Plex's names",
        "movie",
        partial(unmatched, partial(films, "{t} ({y})/{t} ({y}).mkv", remakes=False)),
        FILM,
    ),
    Scheme("unmatched: flat", "movie", partial(unmatched, partial(films, "{t} ({y}).mkv", remakes=False)), FILM),
    Scheme("unmatched: flat, no years", "movie", partial(unmatched, partial(films, "{t}.mkv", remakes=False)), FILM),
    Scheme(
        "S01E01, a location for each show, called otherwise by the host",
        "show",
        partial(episodes, "{folder}/S{s:02}E{e:02}.mkv"),
        EPISODE,
        folders="each, renamed",
    ),
    Scheme(
        "unmatched: Plex's names",
        "show",
        partial(unmatched, partial(episodes, "{t} ({y})/{folder}/{t} ({y}) - S{s:02}E{e:02} - {name}.mkv")),
        EPISODE,
    ),
    Scheme(
        "unmatched: S01E01", "show", partial(unmatched, partial(episodes, "{t}/{folder}/S{s:02}E{e:02}.mkv")), EPISODE
    ),
    Scheme("numbers only, constant bit rate", "artist", partial(tracks, "{a}/{b}/{n:02}.mp3"), frames),
    Scheme("flat, constant bit rate", "artist", partial(tracks, "{a} - {b} - {n:02}.mp3"), frames),
    Scheme("raw, names begin again", "photo", partial(photos, "{y}/{a}/DSC{n:05}.ARW"), one_of(*RAW[:2])),
    Scheme("raw, memory cards", "photo", partial(photos, "{a}/DCIM/{card}MSDCF/DSC{n:05}.ARW"), one_of(*RAW[:2])),
    Scheme("one name, two countries", "show", partial(abroad, "{tree}/{t}/{folder}/{t} - S{s:02}E{e:02}.mkv"), EPISODE),
    Scheme(
        "one name, two trees", "show", partial(abroad, "{t}/{folder}/{t} - S{s:02}E{e:02}.mkv"), EPISODE, twins=True
    ),
    Scheme(
        "one name, two trees, S01E01", "show", partial(abroad, "{t}/{folder}/S{s:02}E{e:02}.mkv"), EPISODE, twins=True
    ),
    Scheme("television", "show", partial(episodes, "{t}/{folder}/{t} - {date}.ts"), PACKETS, of="recordings"),
    Scheme(
        "television, reserved",
        "show",
        partial(episodes, "{t}/{folder}/{t} - {date}.ts"),
        one_of(*RESERVED[1:]),
        of="recordings",
    ),
    Scheme(
        "surveillance, reserved",
        "other_videos",
        partial(photos, "{a}/{y}-{m:02}-{day:02}/{n:05}.mp4"),
        one_of(RESERVED[0]),
        of="recordings",
    ),
    Scheme("two CDs", "movie", two_discs, CD, of="films of a CD's size"),
    Scheme("two episodes in a file", "show", doubles, EPISODE),
    Scheme("audiobooks, cut every hour", "artist", partial(tracks, "{a}/{b}/Part {n:02}.mp3"), AUDIOBOOK),
    Scheme("albums, spelled twice", "artist", spelled_twice, LOSSLESS),
    Scheme("tuners, cut recordings", "show", partial(episodes, "{t}/{folder}/{date}/000.ts"), TUNER, of="recordings"),
    Scheme("half a CD", "show", partial(episodes, "{t}/{folder}/S{s:02}E{e:02}.avi"), HALF_CD, of="shows for a CD"),
    Scheme("tapes among clips", "other_videos", home_videos, CLIP, of="tapes and clips"),
    Scheme("Video CDs", "movie", video_cds, video_cd, of="Video CDs"),
    Scheme("VDR", "show", recorded, vdr, of="VDR's recordings"),
    Scheme("radio, an hour each", "artist", broadcasts, radio, of="radio"),
    Scheme("Media Center", "show", media_center, MEDIA_CENTER, of="Media Center's recordings"),
    Scheme("television, a slot each", "show", partial(episodes, "{t}/{folder}/{t} - {date}.ts"), SLOT, of="slots"),
)
