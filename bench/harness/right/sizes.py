"""Sizes of files in bytes, as such files have them."""

from __future__ import annotations

from collections.abc import Callable

from .words import Draw

Sizes = Callable[[Draw, int], "list[int]"]
"""Gives the sizes of the files of one item: takes what draws and how many files there are."""

DVD_CUTS = (1_073_739_776, 1_073_709_056)
"""Of each file of a title set but the last, by two programs."""
RAW = (24_903_680, 49_512_448, 26_103_808)
"""Uncompressed pictures of two cameras and of a scanner: each has its one size."""
RESERVED = (268_435_456, 2_147_483_648, 4_294_967_296)
"""What a recorder reserves for a file: of a surveillance camera, and of two video recorders."""
TUNER_CUTS = (3_999_999_860, 2_000_000_000, 4_000_000_000, 650_000_000, 2_097_151_984)
"""Where tuners and programs cut a long recording: whole packets of 188 bytes up to 4 GB, round sizes, and 2,000 MiB."""
HOUR = 137_812 * 64_000 * 72 // 22_050
"""Whole frames of MP3 at 64 kbit/s and 22.05 kHz: one hour, at which programs cut audiobooks."""
COMMON = frozenset({*DVD_CUTS, *RAW, *RESERVED, *TUNER_CUTS, HOUR})
"""Sizes that a format or a device gives to many files. They distinguish nothing."""


def between(least: float, most: float) -> Sizes:
    """Any number of bytes, evenly by magnitude: what most encoders write."""
    return lambda draw, count: [int(least * (most / least) ** draw.random.random()) for _ in range(count)]


def multiples(unit: int, least: float, most: float, head: int = 0) -> Sizes:
    """As between(), in whole sectors or packets behind a head."""
    any_size = between(least, most)
    return lambda draw, count: [head + size // unit * unit for size in any_size(draw, count)]


def frames(draw: Draw, count: int) -> list[int]:
    """Whole frames of MP3 at a constant 320 kbit/s and 44.1 kHz, without pictures: one to fifteen minutes."""
    return [int(draw.random.lognormvariate(5.45, 0.4) * 44_100 / 1152) * 144 * 320_000 // 44_100 for _ in range(count)]


def pieces(cuts: tuple[int, ...], share: float, rest: Sizes) -> Sizes:
    """A share of the files is cut at one of these sizes: pieces of what is longer."""
    return lambda draw, count: [draw.pick(cuts) if draw.chance(share) else size for size in rest(draw, count)]


def dvd(draw: Draw, count: int) -> list[int]:
    """A title set: all files are cut at one size, except for the last, which has the remaining sectors."""
    cut = draw.pick(DVD_CUTS)
    return [cut] * (count - 1) + [2048 * draw.random.randint(512, cut // 2048 - 1)]


def gathered(unit: int, middle: float, spread: float, head: int = 0) -> Sizes:
    """Whole units behind a head, most of them near the middle."""
    return lambda draw, count: [head + int(draw.random.gauss(middle, spread)) // unit * unit for _ in range(count)]


def tape(draw: Draw, count: int) -> list[int]:
    """Scenes of a DV tape as AVI of type 2: each of 25 frames a second has 144,000 bytes, and 7,680 of sound.

    Both have a head of 8 bytes and 16 in the index, whose own head and that of the file take 10,248.
    """
    scenes = [max(50, int(25 * draw.random.lognormvariate(4.5, 0.9))) for _ in range(count)]
    return [10_248 + (144_000 + 7_680 + 2 * (8 + 16)) * scene for scene in scenes]


def video_cd(draw: Draw, count: int) -> list[int]:
    """Discs of a film on Video CDs of 74 minutes: 75 sectors a second, of which a file has 2,324 bytes each."""
    return [2324 * int(75 * 60 * draw.random.triangular(30, 74, 50)) for _ in range(count)]


def vdr(draw: Draw, count: int) -> list[int]:
    """A recording of VDR: whole packets. After 2,000 MiB the next independent picture begins a new file."""
    end = 2000 << 20
    # Half a second to a second of 4 to 8 Mbit/s.
    cuts = [end + int(draw.random.random() * draw.random.uniform(250_000, 900_000)) for _ in range(count - 1)]
    return [cut // 188 * 188 + 188 for cut in cuts] + [int(draw.random.uniform(2e8, end)) // 188 * 188]


def radio(draw: Draw, count: int) -> list[int]:
    """An hour of radio less its news: whole frames of MP3 at 128 kbit/s and 44.1 kHz, and the program's one cover."""
    lengths = [min(3600.0, draw.random.gauss(3540, 6)) for _ in range(count)]
    return [187_331 + int(length * 44_100 / 1152) * 144 * 128_000 // 44_100 for length in lengths]


def one_of(*sizes: int) -> Sizes:
    """One size for all, or a few."""
    return lambda draw, count: [draw.pick(sizes) for _ in range(count)]


FILM = between(7e8, 6e10)
EPISODE = between(1.5e8, 6e9)
CLIP = between(2e7, 4e9)
VARIABLE = between(2e6, 1.6e7)
"""A track at a variable bit rate."""
LOSSLESS = between(6e6, 8e7)
WAVE = multiples(2352, 8e6, 8e7, head=44)
"""A track of a CD, not compressed: whole sectors."""
PICTURE = between(1.5e6, 9e6)
BLU_RAY = multiples(6144, 1e10, 4.5e10)
PACKETS = multiples(188, 5e8, 1e10)
"""A recording of television."""
CD = multiples(2048, 7.3e8, 734_003_200)
"""Encoded to fill a CD of 700 MiB, and padded to whole sectors: some 2,000 sizes."""
TUNER = pieces(TUNER_CUTS, 0.05, multiples(188, 2e8, TUNER_CUTS[0]))
AUDIOBOOK = pieces((HOUR,), 0.8, multiples(209, 2e6, HOUR))
HALF_CD = gathered(2, 0.9993 * (350 << 20), 0.0003 * (350 << 20))
"""Encoded in two passes for 350 MiB, two to a CD: some 0.03 % around the target. The chunks of an AVI are even."""
SLOT = gathered(188, 1_000_000 * 1800, 1_000_000 * 2)
"""Half an hour of a channel that is sent at a constant 8 Mbit/s, give or take two seconds: whole packets."""
MEDIA_CENTER = gathered(1 << 18, 2.4e9, 0.12 * 2.4e9)
"""An hour of television as Windows Media Center writes it: whole clusters of 256 KiB."""

RATES = {frames: (40.0, 40.0), WAVE: (176.4, 176.4), VARIABLE: (15.0, 34.0), LOSSLESS: (60.0, 140.0)}
"""Bytes of a millisecond of sound, or of a picture and sound at a constant rate: the least and the most."""
RATES.update({AUDIOBOOK: (8.0, 8.0), radio: (16.05, 16.05)})
RATES.update({tape: (3793.2, 3793.2), video_cd: (174.3, 174.3), SLOT: (1000.0, 1000.0)})
CONSTANT = (frames, WAVE, AUDIOBOOK, radio, tape, video_cd, SLOT)
"""The duration shows the size of such a file, so that its size tells little of it."""
ANY = (FILM, EPISODE, CLIP, VARIABLE, LOSSLESS, PICTURE)
"""Two sizes that no format gave agree less than once in ten million times."""


def duration(sizes: Sizes, draw: Draw, size: int) -> int | None:
    """How long a track of this size plays, in milliseconds. None for what has no rate here."""
    return int(size / draw.random.uniform(*RATES[sizes])) if sizes in RATES else None
