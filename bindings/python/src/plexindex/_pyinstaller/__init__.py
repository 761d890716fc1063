"""Tells PyInstaller what a frozen program needs: the entry point ``pyinstaller40``."""

import os


def hook_dirs() -> list[str]:
    """Returns the folder with the hook."""
    return [os.path.dirname(__file__)]
