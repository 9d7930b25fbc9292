"""Systems for the tests, with the real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory import MemorySystem


@pytest.fixture(scope="session")
def one_system() -> Iterator[MemorySystem]:
    """Loading the model takes most of the time of a test."""
    with MemorySystem.open("sqlite::memory:") as system:
        yield system


@pytest.fixture
def system(one_system: MemorySystem) -> Iterator[MemorySystem]:
    """A system in memory without memories."""
    yield one_system
    for entity in one_system.list_entities():
        while (page := one_system.list_memories(entity, limit=100)).memories:
            for memory in page.memories:
                one_system.forget(entity, memory.id)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a file that does not exist yet."""
    return f"sqlite://{tmp_path / 'agent.db'}"
