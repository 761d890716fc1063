"""Checks of the token for `plexindex doctor`: its expiry, and whether it is the server's own."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import time

from . import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Report(Protocol):
        """The report."""

        def good(self, text: str) -> None:
            """Reports something that works."""

        def note(self, text: str) -> None:
            """Reports a note."""


_SOON = 24 * 3600.0
_PREFERENCES = "Preferences.xml"


def check(
    report: Report, facts: dict[str, object], token: str, *, server: str, renews: bool, database: str | None
) -> None:
    """Adds the checks of a token to the report, and to its facts. ``server``: the machine identifier, if known."""
    claims = claims_of(token)
    expires = claims.get("exp")
    facts["token_expires"] = None
    if isinstance(expires, (int, float)) and not isinstance(expires, bool) and 0 < expires < 1e11:
        facts["token_expires"] = int(expires)
        _report_expiry(report, expires, renews)
        if not (claims.get("thumbprint") and claims.get("username")):
            report.note(
                "the token does not name its user: each new one is another user to plexindex, which lists every "
                "library anew; give --user, or ask for the scope 'username' with the token"
            )
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    facts["token_is_the_servers"] = bool(server and server in audiences) or _stands_in_preferences(token, database)
    if facts["token_is_the_servers"]:
        report.note(
            "this is the server's own token: a client that uses it may change how plex.tv knows the server, and break "
            "its remote access; give plexindex a token of its own"
        )


def _report_expiry(report: Report, expires: float, renews: bool) -> None:
    left = expires - time.time()
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(expires))
    who = "it is renewed by itself" if renews else "renew it until then, or give what renews it: --token-command"
    if left <= 0:
        report.note(f"the token expired on {when}: {'the command is asked for a new one' if renews else 'renew it'}")
    elif left < _SOON and not renews:
        report.note(f"the token expires in {output.short(left)}, on {when}: {who}")
    else:
        report.good(f"the token expires on {when}: {who}")


def claims_of(token: str) -> dict[str, Any]:
    """Returns the unverified claims of a JSON Web Token; none for another token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _stands_in_preferences(token: str, database: str | None) -> bool:
    """Returns whether this is the token of the server itself, as its preferences beside the database say."""
    place = pathlib.Path(database).absolute() if database else None
    for folder in (place, *place.parents) if place else ():
        try:
            with open(folder / _PREFERENCES, encoding="utf-8", errors="replace") as file:
                own = re.search(r'\bPlexOnlineToken="([^"]+)"', file.read(1 << 20))
        except OSError:
            continue
        return own is not None and own[1] == token
    return False
