"""The modules that plexindex imports by name or on first use, and its shared library."""

from PyInstaller.utils.hooks import collect_dynamic_libs, collect_submodules

hiddenimports = collect_submodules("plexindex", on_error="ignore")  # `_cli` needs rich
binaries = collect_dynamic_libs("plexindex", search_patterns=["libplexindex.*", "plexindex.dll"])
