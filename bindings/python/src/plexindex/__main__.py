"""``python -m plexindex``: the command ``plexindex``."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
