"""How sure an answer of the drop-in is. A module of its own: ``enum`` takes long to import."""

from __future__ import annotations

from enum import Enum


class MatchConfidence(str, Enum):
    """How sure a match is."""

    HIGH = "high"
    """One item fits."""
    LOW = "low"
    """Several do, or the path speaks against the one that does: it should be listed itself, or tells of another."""
