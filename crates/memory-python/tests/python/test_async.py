"""The class for asyncio: the same operations as coroutines."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timezone

import pytest

from memory import (
    AsyncMemorySystem,
    ClosedError,
    InvalidInputError,
    MemoryBatchItem,
    MemoryFilter,
    MemorySystem,
    NotFoundError,
)

HORSE = "Tam sold me a lame horse."


def test_the_story(url: str) -> None:
    async def story() -> None:
        async with AsyncMemorySystem.open(url) as memory:
            id = await memory.retain(
                "mira", "experience", HORSE, entities={"tam": "seller"}, tags=["market"]
            )
            await memory.retain("mira", "world", "The mill stands north of the bridge.")
            hits = await memory.recall("mira", "Who cheated me over an animal?")
            assert hits[0].memory.id == id
            report = await memory.recall_report(
                "mira", "what happened?", filter=MemoryFilter(involves="tam")
            )
            assert [hit.memory.id for hit in report.hits] == [id]
            altered = await memory.alter_memory("mira", id, importance=0.9)
            assert altered.importance == 0.9
            spark = await memory.retain("mira", "observation", "Sparks flew.")
            await memory.relate("mira", id, spark, "before")
            assert (await memory.related("mira", spark))[0].direction == "incoming"
            assert HORSE in (await memory.reflect("mira", "Who is Tam?")).text
            assert (await memory.list_memories("mira", limit=2)).next is not None
            assert await memory.forget("mira", spark) == [spark]
            with pytest.raises(NotFoundError):
                await memory.get_memory("tam", id)
            with pytest.raises(InvalidInputError, match="limit is 0"):
                await memory.recall("mira", "x", limit=0)
            stats = await memory.entity_stats("mira")
            assert stats.memory_count == await memory.count_memories("mira") == 2
            assert memory.cache_stats().embedding.entries > 0
        with pytest.raises(ClosedError):
            await memory.get_memory("mira", id)
        memory = await AsyncMemorySystem.open(url)
        async with memory:
            assert (await memory.get_memory("mira", id)).content == HORSE

    asyncio.run(story())


def test_consolidation(url: str) -> None:
    async def story() -> None:
        async with AsyncMemorySystem.open(url) as memory:
            items = [MemoryBatchItem("mira", "experience", HORSE) for _ in range(2)]
            await memory.retain_batch(items)
            before = datetime.now(timezone.utc)
            (summary,) = (await memory.consolidate("mira")).summaries
            assert len((await memory.list_memories("mira", as_of=before)).memories) == 2
            restored = await memory.undo_consolidation("mira", summary.id)
            assert set(restored) == set(summary.sources)

    asyncio.run(story())


def test_the_loop_goes_on_while_texts_are_embedded() -> None:
    async def story() -> None:
        async with AsyncMemorySystem.open("sqlite::memory:") as memory:
            items = [
                MemoryBatchItem("mira", "observation", f"Day {day} was dry.")
                for day in range(64)
            ]
            task = asyncio.create_task(memory.retain_batch(items))
            rounds = 0
            while not task.done():
                rounds += 1
                await asyncio.sleep(0.001)
            assert len(await task) == 64
            assert rounds > 1

    asyncio.run(story())


def test_calls_are_coroutines_that_run_at_the_same_time() -> None:
    async def story() -> None:
        async with AsyncMemorySystem.open("sqlite::memory:") as memory:
            call = memory.retain("mira", "world", "Bread is expensive.")
            assert asyncio.iscoroutine(call)
            id = await asyncio.wait_for(call, timeout=60)
            with pytest.raises(RuntimeError):
                await call
            read = await asyncio.gather(
                *(memory.get_memory("mira", id) for _ in range(20)),
                memory.get_memory("tam", id),
                return_exceptions=True,
            )
            assert sum(isinstance(value, NotFoundError) for value in read) == 1
            # A call that is never awaited never begins.
            memory.retain("mira", "world", "Salt is cheap.").close()
            assert await memory.count_memories("mira") == 1

    asyncio.run(story())


def test_cancelling_a_read_abandons_it() -> None:
    entered, released = threading.Event(), threading.Event()

    def wait(prompt: str) -> str:
        entered.set()
        released.wait()
        return "too late"

    async def story() -> None:
        async with AsyncMemorySystem.open("sqlite::memory:", language_model=wait) as memory:
            await memory.retain("mira", "experience", HORSE)
            task = asyncio.create_task(memory.reflect("mira", "Can Tam be trusted?"))
            await asyncio.to_thread(entered.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            released.set()
            assert len(await memory.recall("mira", "horse")) == 1

    asyncio.run(story())


def test_a_cancelled_write_is_whole_or_not_there(url: str) -> None:
    async def story() -> None:
        async with AsyncMemorySystem.open(url) as memory:
            for batch in range(8):
                items = [
                    MemoryBatchItem("mira", "observation", f"Day {day} of {batch} was dry.")
                    for day in range(16)
                ]
                task = asyncio.create_task(memory.retain_batch(items))
                await asyncio.sleep(batch * 0.004)
                task.cancel()
                await asyncio.wait([task])
            await memory.retain("tam", "world", "Horses are cheap.")

    asyncio.run(story())
    # Closing has waited for what was still being written.
    with MemorySystem.open(url) as system:
        assert system.entity_stats("mira").memory_count % 16 == 0
        assert system.entity_stats("tam").memory_count == 1


def test_a_system_is_used_by_several_loops_in_turn(url: str) -> None:
    async def retain() -> AsyncMemorySystem:
        memory = await AsyncMemorySystem.open(url)
        await memory.retain("mira", "experience", HORSE)
        return memory

    async def recall(memory: AsyncMemorySystem) -> int:
        async with memory:
            return len(await memory.recall("mira", "horse"))

    assert asyncio.run(recall(asyncio.run(retain()))) == 1


def test_opening_fails_as_it_does_for_calls_that_wait() -> None:
    async def story() -> None:
        with pytest.raises(ValueError, match="mysql"):
            await AsyncMemorySystem.open("mysql://localhost/app")
        with pytest.raises(ValueError, match="mysql"):
            async with AsyncMemorySystem.open("mysql://localhost/app"):
                pass

    asyncio.run(story())
