"""Measured figures in the texts of the project are those of the page that `make bench` writes."""

from __future__ import annotations

import re

from conftest import REPOSITORY

FIGURE = re.compile(r"\d[\d.,]* (?:ns|µs|ms|bytes|B|GiB|MiB)(?!\w)")


def test_texts_quote_the_page_of_measurements() -> None:
    page = (REPOSITORY / "bench" / "results" / "latest.md").read_text(encoding="utf-8")
    measured = set(FIGURE.findall(page))
    texts = ["README.md", "Cargo.toml", "bindings/python/pyproject.toml", "bindings/node/package.json"]
    quoted = {text: FIGURE.findall((REPOSITORY / text).read_text(encoding="utf-8")) for text in texts}
    assert quoted["README.md"], "README quotes nothing"
    assert {text: sorted(set(found) - measured) for text, found in quoted.items()} == {text: [] for text in texts}
