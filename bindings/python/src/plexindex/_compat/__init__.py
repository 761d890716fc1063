"""The modules behind :mod:`plexindex.compat`."""
