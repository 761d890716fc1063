"""Notifying: what a host passes on reaches the library. Rust's tests prove what each event means."""

from __future__ import annotations

import json
from typing import Any

import plexindex
import pytest

HOOK: dict[str, Any] = {
    "event": "library.new",
    "Server": {"title": "Home", "uuid": "5a4d1e8f0c6b4792a3d8e1f5b7c09d2468ace013"},
    "Metadata": {"librarySectionID": 1, "ratingKey": "108", "type": "movie", "title": "Ü"},
}
TEXT = json.dumps(HOOK)


@pytest.mark.parametrize("body", [HOOK, TEXT, TEXT.encode(), bytearray(TEXT.encode()), memoryview(TEXT.encode())])
def test_a_body_of_each_type_is_passed_on(index: plexindex.Index, body: Any) -> None:
    index.refresh()
    index.notify(body)
    assert index.stats()["events"] == 1


def test_a_body_of_another_type_is_refused(index: plexindex.Index) -> None:
    with pytest.raises(TypeError, match="body"):
        index.notify(7)  # type: ignore[arg-type]
