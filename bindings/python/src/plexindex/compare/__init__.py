"""Compares folders on this machine with Plex. Changes neither the disk nor Plex.

:mod:`.rules` has Plex's rules, :mod:`.disk` the differences between systems, :mod:`.walk` reads the folders, and
:mod:`.comparison` compares them with the listings; :mod:`.difference` has the reasons.
"""

from .comparison import Comparison, missing_mounts, scope_of
from .difference import Difference
from .rules import RULES

__all__ = ["RULES", "Comparison", "Difference", "missing_mounts", "scope_of"]
