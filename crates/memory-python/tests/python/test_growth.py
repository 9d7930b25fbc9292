"""A process that goes on calling does not grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from memory import AsyncMemorySystem, MemorySystem, MemorySystemError, NotFoundError

CALLS = 1_000
MAX_GROWTH = 8 * 1024 * 1024
"""A leak of one memory a call is found; the allocator keeps less for itself."""
CONTENT = "word " * 2_000


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_a_thousand_calls_that_wait(system: MemorySystem) -> None:
    id = system.retain("mira", "world", CONTENT, tags=["a"], metadata={"k": "v"})

    def call() -> None:
        memory = system.get_memory("mira", id)
        assert memory.tags and memory.metadata and memory.timestamp and repr(memory)
        assert system.recall("mira", "word")[0].explanation
        with pytest.raises(NotFoundError):
            system.get_memory("mira", uuid4())

    for _ in range(CALLS // 10):
        call()
    before = resident_bytes()
    for _ in range(CALLS // 2):
        call()
    assert resident_bytes() - before < MAX_GROWTH


def test_a_thousand_coroutines() -> None:
    async def story() -> None:
        async with AsyncMemorySystem.open("sqlite::memory:") as memory:
            id = await memory.retain("mira", "world", CONTENT)
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: memory.get_memory("mira", id),
                lambda: memory.recall("mira", "word"),
                lambda: memory.get_memory("mira", uuid4()),
            ]

            async def run(count: int) -> None:
                for number in range(count):
                    try:
                        await calls[number % 3]()
                    except MemorySystemError as error:
                        assert isinstance(error, NotFoundError)

            await run(CALLS // 5)
            before = resident_bytes()
            await run(CALLS)
            assert resident_bytes() - before < MAX_GROWTH

    asyncio.run(story())
