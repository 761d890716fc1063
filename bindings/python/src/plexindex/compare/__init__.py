"""Compares folders on this machine with Plex."""
