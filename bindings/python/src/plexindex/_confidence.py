"""The confidence of the drop-in's answers. A separate module, since importing ``enum`` takes long."""

from __future__ import annotations

from enum import Enum


class MatchConfidence(str, Enum):
    """Confidence of a match."""

    HIGH = "high"
    """One item matches."""
    LOW = "low"
    """Several items match, or the path contradicts the only one."""
