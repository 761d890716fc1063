"""Titles and names, drawn from lists of its own. The same seed gives the same ones."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


def split(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


ADJECTIVES = split(
    "amber ancient bitter black blue borrowed brave bright broken burning calm careless cold copper crimson "
    "crooked curious dark deep distant double dusty eager early eastern electric empty endless faint false "
    "fearless final first forgotten fragile frozen gentle golden grey green half heavy hidden hollow honest "
    "humble idle inner iron jagged last late lazy light little lonely long lost lucky marble mellow midnight "
    "narrow nervous northern old open pale paper patient perfect plain quiet rapid reckless red restless rising "
    "rough royal rusty salt scarlet second secret shallow sharp silent silver simple sleepless slow small solemn "
    "southern stolen strange stubborn sudden tall tender thin third tidy tired twisted vacant velvet violet warm "
    "western white wicked wild winter wooden yellow young"
)
NOUNS = split(
    "anchor arrow attic autumn bakery ballad banner bay bell bicycle bird boat bread bridge cabin candle canyon "
    "carpenter castle cellar chapel choir circus clock cloud coast compass corner cottage creek crossing crown "
    "daughter dawn desert diary doctor dream drum echo ember engine estate falcon farm feather ferry field fiddle "
    "fire fisherman flood forest fountain fox gallery garden gate ghost giant glacier glass hammer harbor harvest "
    "hill horizon horse hotel hour house hunter island journey judge keeper kingdom kitchen lake lantern ledger "
    "letter library lighthouse machine mansion map market meadow mill miner mirror mission moon morning mountain "
    "needle neighbor night oak ocean orchard orphan palace parade passenger path piano pilot pirate planet "
    "prairie promise quarry queen railway rain refuge ribbon ridge river road sailor school season shadow "
    "shepherd shore signal singer sister sky smoke snow soldier song spring station stone storm stranger street "
    "summer sword tailor teacher temple thief thunder tower train traveler tunnel valley village violin voice "
    "voyage wagon wall watcher weaver well whisper widow willow window wolf woodcutter year"
)
PLACES = split(
    "Aldbrook Arden Belmora Brackwater Calder Corvane Dunmere Eastmoor Elsing Farrow Galway Harrowgate Ilmen "
    "Jarrow Kestrel Larkhill Maren Norvale Oldenburg Pellam Quarrington Ravensea Selwick Thornby Ulverton Varga "
    "Westray Yarrow"
)
NAMES = split(
    "Ada Agnes Anton Beatrix Bruno Clara Conrad Dora Edgar Elsa Emil Felix Flora Greta Hugo Ida Ivan Jonas Karla "
    "Klaus Lena Leo Magda Max Mina Nils Olga Oscar Paula Petra Rosa Rufus Selma Simon Tilda Tomas Ursula Viktor "
    "Wanda Xaver"
)
SHORT = split("Ash Elm Fog Ivy Oak Owl Rye Sun Yew Zed Ox Jo")
GENERAL = split(
    "Movies Films Video Videos Movie Film Media Downloads Backup Archive Complete Share Cinema Features Extras "
    "Season Disc Stream Home Data Collection Trailer Sample Unsorted Episode Series Pictures Library"
)
"""One word each, and what folders are called by."""
FOLDERS = ("New Arrivals", "Old Films", "Blu Ray", "Kids Movies", "Disc One", "Season One", "Home Videos", "To Watch")
"""The same of two words."""
HAN = "山川海空風雨雪月星花鳥魚森林石火水金土春夏秋冬東西南北光影夢心手道橋門城村島湖夜朝"
KANA = "カキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモガギグゲゴザジズゼゾダデドバビブベボパピプペポ"
HANGUL = "가나다라마바사아자차카타파하강산달별빛꿈길집문책밤낮봄눈비숲섬말새꽃"
HEBREW = split("בית דרך ים עיר לילה שמש ירח כוכב גשם שלג אור צל חלום לב יד גשר שער כפר אגם בוקר סתיו חורף אביב קיץ")
ARABIC = split(
    "بيت طريق بحر مدينة ليل شمس قمر نجم مطر ثلج نور ظل حلم قلب يد جسر باب قرية بحيرة صباح خريف شتاء ربيع صيف"
)
ACCENTED = split(
    "Ängstlich Brücke Café Dünen Élan Forêt Grüße Hôtel Île Jökull Köln Løvet Mañana Nöel Österling Pâté Québec "
    "Rêve Señor Übermut Việt Wäldchen Ýmir Zürich Åland Çelik Škoda Žižkov"
)
GROUPS = split("RVN QTL MKO XDB PNT HLW")
COMMON_TRACKS = split("Intro Outro Interlude Prelude Untitled Reprise Overture Home Stay Alone")


@dataclass(frozen=True)
class Film:
    """A film."""

    title: str
    year: int


@dataclass
class Draw:
    """What is drawn, and what was drawn before: titles do not repeat unless a remake is wanted."""

    seed: str
    random: random.Random = field(init=False)
    _taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311

    def pick(self, words: Sequence[T]) -> T:
        """One of them."""
        return self.random.choice(words)

    def year(self) -> int:
        """A year of release."""
        return self.random.randint(1950, 2024)

    def chance(self, share: float) -> bool:
        """Whether it happens."""
        return self.random.random() < share

    def fresh(self, make: Callable[[], str]) -> str:
        """A title that nothing else has, not even with an article before it."""
        for attempt in range(1000):
            title = make() if attempt < 100 else f"{make()} {self.title()}"
            plain = re.sub(r"^(the|a|an) ", "", fold(title))
            if plain not in self._taken:
                self._taken.add(plain)
                return title
        raise AssertionError("the lists of words are used up")

    def title(self) -> str:
        """Some title."""
        one, two = self.pick(NOUNS).title(), self.pick(NOUNS).title()
        adjective = self.pick(ADJECTIVES).title()
        return self.pick(
            (
                f"{adjective} {one}",
                f"The {adjective} {one}",
                f"The {one} of {self.pick(PLACES)}",
                f"{one} & {two}",
                f"{self.pick(NAMES)}'s {one}",
                f"{self.pick(NAMES)} and the {adjective} {one}",
                f"{one}: {adjective} {two}",
                f"A {adjective} {one}",
            )
        )

    def films(self, count: int, *, remakes: bool = True) -> Iterator[Film]:
        """So many films, one in three of a family that is easy to confuse."""
        made = 0
        while made < count:
            for film in self._family(remakes=remakes):
                made += 1
                yield film

    def _family(self, *, remakes: bool) -> list[Film]:
        year = self.year()
        kind = self.random.randrange(30)
        first = Film(self.fresh(self.title), year)
        if kind == 0:
            named = (f"{first.title} 2", f"{first.title} 3", f"{first.title}: Part Two")
            return [first, *(Film(title, year + 2 + n) for n, title in enumerate(named))]
        if kind == 2 and remakes:
            return [first, Film(first.title, year + self.random.randint(1, 30))]
        if kind == 3:
            # Titles within titles, of the same year.
            one = self.pick(NOUNS).title()
            return [first, Film(f"{first.title} {one}", year), Film(f"{self.pick(NAMES)} and {first.title}", year)]
        if kind == 4:
            return [Film(self.fresh(lambda: str(self.random.randint(1900, 2060))), year)] if remakes else [first]
        if kind == 5:
            return [Film(self.fresh(lambda: str(self.random.randint(2, 999))), year)] if remakes else [first]
        if kind == 6:
            return [first, Film(f"{first.title} {self.random.randint(1930, 2060)}", year)]
        if kind == 7 and remakes:
            short = self.pick((SHORT, GENERAL))
            return [Film(self.fresh(lambda: self.pick(short) if self.chance(0.7) else self.title()), year)]
        if kind == 8:
            return [Film(self.fresh(lambda: self.pick(FOLDERS) if self.chance(0.7) else self.title()), year)]
        if kind == 9:
            return [Film(self.fresh(lambda: f"{self.pick(NOUNS).title()}.{self.pick(NAMES)[0]}.{self.title()}"), year)]
        return [first]

    def shows(self, count: int) -> Iterator[str]:
        """Titles of shows, some within others."""
        made = 0
        while made < count:
            title = self.fresh(self.title)
            kind = self.random.randrange(12)
            family = [title]
            if kind == 0:
                family += [f"{title} Origins", f"{title}: {self.pick(PLACES)}"]
            elif kind == 1:
                family += [f"{title} (US)", f"{title} ({self.year()})"]
            elif kind == 2:
                family = [self.fresh(lambda: self.pick(SHORT) if self.chance(0.7) else self.title())]
            elif kind == 3:
                family = [self.fresh(lambda: str(self.random.randint(2, 99)) if self.chance(0.7) else self.title())]
            elif kind == 4:
                family += [f"After {title}"]
            for one in family:
                made += 1
                yield one

    def foreign(self, script: str) -> str:
        """A title that is not ASCII."""
        if script == "cjk":
            kind = self.random.randrange(3)
            letters = (HAN, KANA, HANGUL)[kind]
            return self.fresh(lambda: "".join(self.pick(letters) for _ in range(self.random.randint(3, 6))))
        words = ACCENTED if script == "accents" else self.pick((HEBREW, ARABIC))
        return self.fresh(lambda: " ".join(self.pick(words) for _ in range(self.random.randint(2, 3))))


def fold(text: str) -> str:
    """As the index compares paths."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def file(title: str) -> str:
    """A title as a file name has it."""
    return title.replace(":", " -").replace("/", "-")


def dotted(title: str) -> str:
    """A title as a scene name has it."""
    plain = title.replace("&", "and").replace("'", "")
    return re.sub(r"[^\w]+", ".", plain).strip(".")
