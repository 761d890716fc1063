"""Another process that records matches: ``write.py CONTENDER FOLDER COUNT``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import peers

kind, folder, count = sys.argv[1:]
contender = getattr(peers, kind)(folder)
for number in range(int(count)):
    contender.put(f"/mnt/elsewhere/{number}.mkv", f"/library/metadata/{number}")
contender.close()
print("null")
