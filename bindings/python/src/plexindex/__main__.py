"""The command ``plexindex``, also ``python -m plexindex``.

Ctrl-C ends the command with exit code 130 and without a traceback, even while Python imports the command's modules.
"""

import sys


def main() -> int:
    """Runs the command with the process's arguments, and returns the exit code."""
    try:
        from . import _cli

        return _cli.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
