"""Checks the token for `plexindex doctor`: when the token expires, and whether it is the server's own token."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import time

from .._core import TYPE_CHECKING
from . import output

if TYPE_CHECKING:
    from typing import Any

    from .report import Report

_DAY = 24 * 3600.0


def check(
    report: Report, facts: dict[str, object], token: str, *, server: str, is_renewed: bool, database: str | None
) -> None:
    """Checks a token and reports the results. ``server`` is the server's machine identifier, or an empty string."""
    claims = claims_of(token)
    expires = claims.get("exp")
    facts["token_expires"] = None
    if isinstance(expires, (int, float)) and not isinstance(expires, bool) and 0 < expires < 1e11:
        facts["token_expires"] = int(expires)
        _report_expiry(report, expires, is_renewed=is_renewed)
        if not (claims.get("thumbprint") and claims.get("username")):
            report.note(
                "the token does not contain its user's name, so plexindex treats each new token as a new user's, and "
                "lists all libraries again: give --user, or request the token with the scope 'username'"
            )
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    is_servers_own = bool(server and server in audiences) or _is_in_preferences(token, database)
    facts["token_is_the_servers"] = is_servers_own
    if is_servers_own:
        report.note(
            "this is the server's own token: a client that uses it can break the server's registration at plex.tv and "
            "its remote access; give plexindex a token of its own"
        )


def _report_expiry(report: Report, expires: float, *, is_renewed: bool) -> None:
    seconds_left = expires - time.time()
    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(expires))
    remedy = "plexindex renews it" if is_renewed else "renew it before then, or give a command with --token-command"
    if seconds_left <= 0:
        report.note(f"the token expired on {date}: {'plexindex renews it' if is_renewed else 'renew it'}")
    elif seconds_left < _DAY and not is_renewed:
        report.note(f"the token expires in {output.short(seconds_left)}, on {date}: {remedy}")
    else:
        report.good(f"the token expires on {date}: {remedy}")


def claims_of(token: str) -> dict[str, Any]:
    """Returns a JSON Web Token's claims without verifying them. Other tokens have no claims."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _is_in_preferences(token: str, database: str | None) -> bool:
    """Returns whether Preferences.xml in a folder above the database contains this token as the server's own."""
    path = pathlib.Path(database).absolute() if database else None
    for folder in (path, *path.parents) if path else ():
        try:
            with open(folder / "Preferences.xml", encoding="utf-8", errors="replace") as file:
                server_token = re.search(r'\bPlexOnlineToken="([^"]+)"', file.read(1 << 20))
        except OSError:
            continue
        return server_token is not None and server_token[1] == token
    return False
