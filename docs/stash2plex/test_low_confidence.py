"""Tests a single item whose path contradicts the file, such as a file that Plex has not scanned."""

from types import SimpleNamespace

import pytest

from plex.exceptions import PlexNotFound
from plex.matcher import MatchConfidence
from validation import obfuscation
from worker import plex_sync_orchestrator
from worker.plex_sync_orchestrator import PlexSyncOrchestrator, SyncOutcomeKind


def film(key, path):
    part = SimpleNamespace(file=path)
    return SimpleNamespace(key=f"/library/metadata/{key}", title="A film", media=[SimpleNamespace(parts=[part])])


def sync(*confidences, strict):
    """Syncs a scene with one candidate in each library. Returns the call and the list of edited items."""
    edited = []
    found = [(confidence, None, [film(at, f"/other/{at}/scene.mp4")]) for at, confidence in enumerate(confidences)]
    orchestrator = PlexSyncOrchestrator(
        matcher_adapter=SimpleNamespace(match=lambda section, **_: found[int(section.title)]),
        metadata_adapter=SimpleNamespace(apply=lambda plex_item, scene_data: edited.append(plex_item)),
        cache_adapter=None,
        config=SimpleNamespace(strict_matching=strict),
    )
    sections = [SimpleNamespace(title=str(at)) for at in range(len(found))]
    scene = {"scene_id": 1, "scene_data": {}, "file_path": "/media/C/scene.mp4", "sections": sections}
    return lambda: orchestrator.sync_scene_to_plex(**scene), edited


def test_strict_matching_edits_no_item_whose_path_contradicts_the_file(monkeypatch):
    lines = []
    monkeypatch.setattr(plex_sync_orchestrator, "log_info", lines.append)
    monkeypatch.setattr(obfuscation, "obfuscate_path", lambda path: f"hidden:{path}")
    call, edited = sync(MatchConfidence.LOW, strict=True)
    with pytest.raises(PlexNotFound, match="in another folder only: hidden:/other/0/scene.mp4"):
        call()
    assert not edited
    (line,) = lines
    assert "scene 1 is not edited, because strict_matching is on" in line and line.endswith("hidden:/other/0/scene.mp4")


@pytest.mark.parametrize(("confidence", "strict"), [(MatchConfidence.HIGH, True), (MatchConfidence.LOW, False)])
def test_any_other_single_item_is_edited(confidence, strict):
    call, edited = sync(confidence, strict=strict)
    assert call().kind == SyncOutcomeKind.SYNCED
    assert len(edited) == 1


@pytest.mark.parametrize("strict", [True, False])
def test_an_item_of_another_library_goes_first(strict):
    call, edited = sync(MatchConfidence.LOW, MatchConfidence.HIGH, strict=strict)
    assert call().kind == SyncOutcomeKind.SYNCED
    assert [item.key for item in edited] == ["/library/metadata/1"]
