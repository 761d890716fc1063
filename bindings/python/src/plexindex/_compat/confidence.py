"""The confidence of the drop-in's answers. This module is separate, because importing ``enum`` is slow."""

from __future__ import annotations

from enum import Enum


class MatchConfidence(str, Enum):
    """Confidence of a match."""

    HIGH = "high"
    """One item matches."""
    LOW = "low"
    """Several items match, or the path contradicts the only matching item."""
