"""What runs while a call waits: other threads, signal handlers, other processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from memory import MemoryBatchItem, MemorySystem

HORSE = "Tam sold me a lame horse."


@pytest.fixture
def unswitched() -> Iterator[None]:
    """The interpreter takes no thread off by itself: another thread runs only where the
    running one releases the interpreter."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """The usual handler: a process that a shell starts in the background ignores
    interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_another_thread_runs_while_texts_are_embedded(
    system: MemorySystem, unswitched: None
) -> None:
    rounds = 0
    is_done = threading.Event()

    def count() -> None:
        nonlocal rounds
        while not is_done.is_set():
            rounds += 1
            time.sleep(0.001)

    items = [
        MemoryBatchItem("mira", "observation", f"Day {day} was dry, " + "and long " * 20)
        for day in range(64)
    ]
    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = rounds
        system.retain_batch(items)
        after = rounds
    finally:
        is_done.set()
        thread.join()
    assert after > before


def test_threads_share_a_system(system: MemorySystem) -> None:
    def retain(name: str) -> None:
        for day in range(5):
            system.retain(name, "observation", f"Day {day} of {name} was dry.")

    names = ["mira", "tam", "ona"]
    threads = [threading.Thread(target=retain, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [system.entity_stats(name).memory_count for name in names] == [5, 5, 5]


def test_an_interrupt_ends_a_call_that_waits(interruptible: None) -> None:
    released = threading.Event()

    def interrupt(prompt: str) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        released.wait()
        return "too late"

    with MemorySystem.open("sqlite::memory:", language_model=interrupt) as system:
        system.retain("mira", "experience", HORSE)
        try:
            with pytest.raises(KeyboardInterrupt):
                system.reflect("mira", "Can Tam be trusted?")
        finally:
            released.set()
        assert len(system.recall("mira", "Who sold me a horse?")) == 1


def test_a_language_model_may_use_the_system() -> None:
    systems: list[MemorySystem] = []

    def look_up(prompt: str) -> str:
        return systems[0].recall("mira", "horse")[0].memory.content

    with MemorySystem.open("sqlite::memory:", language_model=look_up) as system:
        systems.append(system)
        system.retain("mira", "experience", HORSE)
        assert system.reflect("mira", "Can Tam be trusted?").answer == HORSE


def test_a_forked_process_is_told_instead_of_waiting_forever(system: MemorySystem) -> None:
    id = system.retain("mira", "experience", HORSE)
    calls: list[Callable[[], object]] = [
        lambda: system.get_memory("mira", id),
        system.cache_stats,
        system.clear_all_caches,
        lambda: system.invalidate_memory_cache(id),
        lambda: system.invalidate_entity_cache("mira"),
    ]
    for call in calls:
        child = os.fork()
        if child == 0:
            try:
                call()
            except RuntimeError as error:
                os._exit(0 if "forked" in str(error) else 2)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
