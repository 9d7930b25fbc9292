"""Exceptions: one class for each kind, with the facade's message."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import memory
from memory import (
    ConfigurationError,
    ConflictError,
    ForeignDataError,
    InvalidInputError,
    MemoryBatchItem,
    MemoryConfig,
    MemoryFilter,
    MemorySystem,
    MemorySystemError,
    MissingError,
    NotFoundError,
    PageCursor,
)


class UnknownOffset(tzinfo):
    """A time zone that knows of no offset: a datetime with it is naive to Python."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        return None

    def dst(self, dt: datetime | None) -> timedelta | None:
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        return None


def test_every_exception_is_of_one_family() -> None:
    classes = [
        getattr(memory, name) for name in memory.__all__ if name.endswith("Error")
    ]
    assert len(classes) == 18
    assert all(issubclass(error, MemorySystemError) for error in classes)


def test_the_item_and_the_limit_are_named(system: MemorySystem) -> None:
    items = [MemoryBatchItem("mira", "world", text) for text in ("Bread.", "", "Salt.")]
    with pytest.raises(InvalidInputError, match="must have 1 to 10000 characters") as info:
        system.retain_batch(items)
    error = info.value
    assert (error.kind, error.item, error.is_retryable) == ("invalid_input", 1, False)
    assert (error.operation, error.ids) == (None, ())
    assert isinstance(error, ValueError)
    assert system.entity_stats("mira").memory_count == 0


def test_kinds_differ(system: MemorySystem, tmp_path: Path) -> None:
    id = uuid4()
    system.retain("mira", "world", "Bread is dear.", id=id)
    with pytest.raises(ConflictError):
        system.retain("mira", "world", "Bread is cheap.", id=id)
    with pytest.raises(NotFoundError) as info:
        system.get_memory("tam", id)
    assert isinstance(info.value, LookupError)
    with pytest.raises(ConfigurationError, match="mysql"):
        MemorySystem.open("mysql://localhost/app")
    with pytest.raises(ConfigurationError, match="set a URL"):
        MemorySystem.open()
    with pytest.raises(ConfigurationError, match="cache_ttl_seconds"):
        MemorySystem.open("sqlite::memory:", config=MemoryConfig(cache_ttl_seconds=0))
    with pytest.raises(MissingError, match="no-such-model"):
        MemorySystem.open("sqlite::memory:", model="no-such-model")
    notes = tmp_path / "notes.db"
    notes.write_text("a text, and no database at all, of more than a hundred bytes\n" * 3)
    with pytest.raises(ForeignDataError):
        MemorySystem.open(f"sqlite://{notes}")
    assert notes.read_text().startswith("a text")


def test_arguments_are_checked_before_any_work(system: MemorySystem) -> None:
    before = system.entity_stats("mira").generation
    loose: Any = system
    with pytest.raises(InvalidInputError, match="unknown kind"):
        loose.retain("mira", "dream", "I flew.")
    with pytest.raises(InvalidInputError, match="is not a UUID"):
        loose.get_memory("mira", "seven")
    with pytest.raises(ValueError, match="no time zone"):
        loose.retain("mira", "world", "x", timestamp=datetime(2026, 3, 1))
    with pytest.raises(ValueError, match="no time zone"):
        unknown = datetime(2026, 3, 1, tzinfo=UnknownOffset())
        loose.retain("mira", "world", "x", timestamp=unknown)
    with pytest.raises(ValueError, match="before year 1"):
        first = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
        loose.retain("mira", "world", "x", timestamp=first)
    with pytest.raises(TypeError, match="tags"):
        loose.retain("mira", "world", "x", tags="market")
    with pytest.raises(TypeError):
        loose.retain("mira", "world", "x", metadata={"price": 40})
    with pytest.raises(TypeError):
        loose.retain("mira", "world", "x", color="red")
    with pytest.raises(ValueError, match="weighted_sum"):
        loose.recall("mira", "x", ranking="best")
    with pytest.raises(InvalidInputError, match="any-strict"):
        MemoryFilter(tags=["a"], tag_mode="some")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="limit is 0"):
        loose.list_memories("mira", limit=0)
    for call in (
        lambda: loose.recall("mira", "x", limit=-1),
        lambda: loose.reflect("mira", "x", max_context_chars=-1),
        lambda: loose.list_memories("mira", limit=2**64),
        lambda: loose.list_entities(limit=-1),
        lambda: loose.consolidate("mira", min_sources=-1),
        lambda: loose.prune_low_importance_memories("mira", -1),
        lambda: loose.reembed("mira", max_per_second=-1),
        lambda: MemoryConfig(cache_max_capacity=-1),
    ):
        with pytest.raises(ValueError, match="out of range"):
            call()
    with pytest.raises(InvalidInputError, match="changes nothing"):
        loose.alter_memory("mira", uuid4())
    assert system.entity_stats("mira").generation == before


def test_an_exception_of_the_language_model_is_the_cause() -> None:
    def fail(prompt: str) -> str:
        raise KeyError(prompt)

    def answer_bytes(prompt: str) -> Any:
        return b"yes"

    with MemorySystem.open("sqlite::memory:", language_model=fail) as system:
        system.retain("mira", "world", "Bread is dear.")
        with pytest.raises(MemorySystemError, match="raised KeyError") as info:
            system.reflect("mira", "What is dear?")
        assert isinstance(info.value.__cause__, KeyError)
        assert "Bread" not in str(info.value)
    with MemorySystem.open("sqlite::memory:", language_model=answer_bytes) as system:
        system.retain("mira", "world", "Bread is dear.")
        with pytest.raises(MemorySystemError, match="bytes; it must return str"):
            system.reflect("mira", "What is dear?")


def test_exceptions_and_cursors_can_be_sent_to_other_processes(system: MemorySystem) -> None:
    with pytest.raises(InvalidInputError) as info:
        system.retain("mira", "world", "")
    assert info.value.item is None
    with pytest.raises(InvalidInputError, match="in item 0 of the batch, counted from 0") as info:
        system.retain_batch([MemoryBatchItem("mira", "world", "")])
    sent = pickle.loads(pickle.dumps(info.value))
    assert type(sent) is InvalidInputError
    assert (str(sent), sent.kind, sent.item) == (str(info.value), "invalid_input", 0)
    for text in ("Bread is dear.", "Salt is cheap."):
        system.retain("mira", "world", text)
    cursor = system.list_memories("mira", limit=1).next
    assert isinstance(cursor, PageCursor)
    assert pickle.loads(pickle.dumps(cursor)) == cursor
    assert PageCursor(cursor.timestamp, cursor.id) == cursor


def test_values_are_the_same_after_pickling(system: MemorySystem) -> None:
    item = MemoryBatchItem(
        "mira", "world", "Bread is dear.", importance=0.9, tags=["a"], metadata={"k": "v"}
    )
    memory = system.get_memory("mira", system.retain_batch([item])[0])
    for value in (item, memory, MemoryFilter(kinds=["world"], tags=["a"])):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
