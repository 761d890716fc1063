"""Compares folders on this machine with Plex. Changes neither the disk nor Plex."""

from .comparison import Comparison
from .difference import Difference

__all__ = ["Comparison", "Difference"]
