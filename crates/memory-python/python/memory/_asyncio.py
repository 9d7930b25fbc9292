"""Awaiting what the native module runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ._native import AsyncMemorySystem

_T = TypeVar("_T")


async def run(start: Callable[[], Awaitable[_T]]) -> _T:
    """A coroutine that starts an operation when it is awaited, on the running loop."""
    return await start()


class Opening:
    """A system that is being opened: to be awaited, or for `async with`."""

    def __init__(self, start: Callable[[], Awaitable[AsyncMemorySystem]]) -> None:
        self._start = start
        self._system: AsyncMemorySystem | None = None

    def __await__(self) -> Generator[Any, None, AsyncMemorySystem]:
        return run(self._start).__await__()

    async def __aenter__(self) -> AsyncMemorySystem:
        self._system = await self
        return self._system

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._system is not None:
            await self._system.close()
