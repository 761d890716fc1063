"""The part of `plexindex doctor` that checks the log that several hosts share."""

from __future__ import annotations

from .._core import TYPE_CHECKING
from .output import count
from .shared import contents, exit_code_of

if TYPE_CHECKING:
    from ..index import Index
    from .config import Settings
    from .doctor_report import Report


def check_shared(report: Report, settings: Settings, index: Index) -> None:
    """Reports the shared log's state and contents, and the number of entries that this host has not read."""
    if settings.shared is None:
        return
    report.title("Shared log")
    status = None if settings.offline else index.shared_status()
    if status is None:
        report.note("not checked, because --offline was given")
        return
    report.values["shared"] = status
    if not status["reachable"]:
        effect = "until the log responds, this host uses only its own folder and Plex"
        report.bad(f"{status.get('error')}\n{effect}\nsee docs/several-hosts.md", exit_code_of(status))
        return
    if status.get("error") is None:
        report.good(f"{status['address']} responds: {contents(status)}")
    else:
        effect = "this host can read other hosts' entries, but cannot write its own"
        report.bad(f"{status.get('error')}\n{effect}; {contents(status)}", exit_code_of(status))
    if status.get("behind") is None:
        report.note("this host has not read any entries yet")
    elif status.get("behind"):
        report.note(f"this host is {count(status['behind'], 'entry', 'entries')} behind")
    else:
        report.good("this host has read all entries")
    if status.get("undelivered"):
        report.note(f"{count(status['undelivered'], 'entry waits', 'entries wait')} on this host for delivery")
