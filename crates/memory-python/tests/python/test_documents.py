"""The examples of the documents run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
DOCUMENTS = ["README.md", "docs/python.md", "crates/memory-python/README.md"]


def examples() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)):
            found.append((f"{document}-{number}", code))
    return found


def test_every_document_has_an_example() -> None:
    names = {name.rsplit("-", 1)[0] for name, _ in examples()}
    assert names == set(DOCUMENTS)


@pytest.mark.parametrize(("name", "code"), examples(), ids=lambda value: value[:40])
def test_an_example_runs(
    name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, name, "exec"), {"__name__": "example"})
