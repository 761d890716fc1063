"""The part of `plexindex doctor` about the log that several hosts share."""

from __future__ import annotations

from .output import count
from .shared import code_of, holdings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._index import Index
    from .config import Settings
    from .doctor_report import Report

_MEANWHILE = """\
until it answers, this host uses its own folder, and asks Plex itself
docs/several-hosts.md describes the setup"""
_WAITS = "until then this host reads entries of others, and keeps its own in its folder"


def check_shared(report: Report, settings: Settings, index: Index) -> None:
    """Checks whether the shared log works, what it holds, and how far this host is behind."""
    if settings.shared is None:
        return
    report.title("Shared log")
    if settings.offline:
        report.note("skipped, because --offline was given")
        return
    status = index.shared_status()
    if status is None:
        return
    report.values["shared"] = status.as_dict()
    if not status.reachable:
        report.bad(f"{status.error}\n{_MEANWHILE}", code_of(status))
        return
    if status.error is None:
        report.good(f"{status.address} answers: {holdings(status)}")
    else:
        report.bad(f"{status.error}\nit can be read: {holdings(status)}\n{_WAITS}", code_of(status))
    if status.behind:
        report.note(f"this host has not taken {count(status.behind, 'entry', 'entries')} of other hosts yet")
    elif status.behind == 0:
        report.good("this host has all of it")
    else:
        report.note("this host has taken nothing from it yet")
    if status.undelivered:
        report.note(f"{count(status.undelivered, 'entry waits', 'entries wait')} to be delivered from this host")
