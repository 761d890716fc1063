"""Rules that map the host's paths to the server's paths, and the reverse."""

from __future__ import annotations

import plexindex

from ._core import Record, convert
from ._core import abi as c
from .errors import InvalidArgumentError

_NAMES = {
    c.MAPPING_HOST_PREFIX: "host_prefix",
    c.MAPPING_HOST_PATTERN: "host_pattern",
    c.MAPPING_SERVER_PREFIX: "server_prefix",
    c.MAPPING_SERVER_PATTERN: "server_pattern",
}


def _part(text: plexindex.types.PathArg) -> bytes:
    raw = convert.text_bytes("mapping", convert.fspath("each part of a rule in mappings", text))
    if b"\0" in raw:
        raise convert.invalid(
            "mappings", f"mappings: {text!r} contains a NUL character, which no file name can contain"
        )
    return raw


class Mapping(Record):
    r"""A rule that maps paths between the host and the server, for ``plexindex.open(mappings=[…])``.

    The first rule that matches a path applies. A pair of folders, ``(host, server)``, is a shorthand for
    :meth:`host_prefix`. Patterns are regular expressions without look-around and backreferences. Replacements use
    ``\1``, ``\g<1>`` or ``\g<name>``. If a rule is invalid, ``open`` raises an error that contains the rule.
    """

    kind: int
    find: bytes
    replace: bytes

    def __init__(self, kind: int, find: plexindex.types.PathArg, replace: plexindex.types.PathArg) -> None:
        if kind not in _NAMES:
            raise InvalidArgumentError(f"invalid kind of a mapping ({kind!r}): call Mapping.host_prefix()")
        super().__init__(kind, _part(find), _part(replace))

    @classmethod
    def host_prefix(cls, host: plexindex.types.PathArg, server: plexindex.types.PathArg) -> Mapping:
        """Maps a folder of the host to a folder of the server.

        >>> plexindex.Mapping.host_prefix("/mnt/films", "/films")
        Mapping.host_prefix('/mnt/films', '/films')
        """
        return cls(c.MAPPING_HOST_PREFIX, host, server)

    @classmethod
    def host_pattern(cls, pattern: str, replacement: str) -> Mapping:
        r"""Maps the host's paths that match a pattern to the server's paths.

        >>> plexindex.Mapping.host_pattern(r"/mnt/disk\d/(.*)", r"/films/\1").replace
        b'/films/\\1'
        """
        return cls(c.MAPPING_HOST_PATTERN, pattern, replacement)

    @classmethod
    def server_prefix(cls, server: plexindex.types.PathArg, host: plexindex.types.PathArg) -> Mapping:
        """Maps a folder of the server to a folder of the host.

        >>> plexindex.Mapping.server_prefix("/films", "/mnt/films")
        Mapping.server_prefix('/films', '/mnt/films')
        """
        return cls(c.MAPPING_SERVER_PREFIX, server, host)

    @classmethod
    def server_pattern(cls, pattern: str, replacement: str) -> Mapping:
        r"""Maps the server's paths that match a pattern to the host's paths.

        >>> plexindex.Mapping.server_pattern(r"/films/(.*)", r"/mnt/\1").replace
        b'/mnt/\\1'
        """
        return cls(c.MAPPING_SERVER_PATTERN, pattern, replacement)

    def __repr__(self) -> str:
        find, replace = (part.decode("utf-8", "surrogateescape") for part in (self.find, self.replace))
        return f"Mapping.{_NAMES[self.kind]}({find!r}, {replace!r})"


def as_mapping(rule: plexindex.types.MappingArg) -> Mapping:
    """Converts a pair of folders to a rule. Returns a rule unchanged."""
    if isinstance(rule, Mapping):
        return rule
    if not isinstance(rule, (tuple, list)) or len(rule) != 2:
        raise TypeError(f"mappings: {rule!r} is neither a Mapping nor a pair of folders (host, server)")
    return Mapping.host_prefix(*rule)


class Proposal(Record):
    """A mapping that seems to be missing. :meth:`Index.proposals` returns these objects."""

    host: str
    """The folder on this machine."""
    server: str
    """The same folder on the server."""
    matched: int
    """Number of paths that the mapping leads to a listed file of their size."""
    of: int
    """Number of paths that matched by their end or their file name."""
    gain: int | None
    """Number of given paths that only this mapping matches, and no earlier proposal. None if no paths were given."""
    contradicted: int
    """Number of files that speak against the mapping: it leads to a file of another size, or another folder has the
    same files.
    """
    certain: bool
    """Whether sizes leave no doubt: ten paths match, and none is contradicted."""

    @property
    def mapping(self) -> Mapping:
        """The mapping in the form for ``plexindex.open(mappings=[…])``."""
        return Mapping.host_prefix(self.host, self.server)

    def __repr__(self) -> str:
        return f"<plexindex.Proposal {self.host!r} -> {self.server!r}: {self.matched} of {self.of} paths>"
