#!/bin/sh
# At a terminal: is all well, fetch, match a tree, and what is missing, for another program.
set -eu
plexindex doctor
plexindex warm
plexindex libraries
find "$MEDIA" -name '*.mkv' | plexindex match --mapping "$MEDIA=/data" --format keys - >keys || echo "match: $?"
find "$MEDIA" -name '*.mkv' -print0 | plexindex --mapping "$MEDIA:/data" match --null --missing --format paths - >missing || echo "missing: $?"
plexindex doctor "$MEDIA" || echo "doctor: $?"
plexindex stats
plexindex clear --yes
