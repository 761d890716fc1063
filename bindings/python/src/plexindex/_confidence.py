"""The confidence of the drop-in's answers. A separate module, since ``enum`` takes long to import."""

from __future__ import annotations

from enum import Enum


class MatchConfidence(str, Enum):
    """Confidence of a match."""

    HIGH = "high"
    """One item fits."""
    LOW = "low"
    """Several fit, or the path speaks against the one that does: it should be listed itself, or names another."""
