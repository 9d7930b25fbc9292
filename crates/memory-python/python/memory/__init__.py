"""Long-term memory for AI agents and game characters.

An *entity* (an agent, a character, a user) retains memories, recalls the relevant ones,
reflects on them, consolidates duplicates and forgets:

    from memory import MemorySystem

    with MemorySystem.open("sqlite://agent.db") as memory:
        memory.retain("mira", "experience", "Tam sold me a lame horse.")
        for hit in memory.recall("mira", "Who sold me the horse?"):
            print(f"{hit.score:.2f} {hit.memory.content}")

`AsyncMemorySystem` has the same operations as coroutines for asyncio.
"""

from ._native import (
    AsyncMemorySystem,
    CacheStats,
    ConsolidatedSummary,
    ConsolidationReport,
    EntityStats,
    ExcludedHits,
    ListPage,
    Memory,
    MemoryBatchItem,
    MemoryConfig,
    MemoryFilter,
    MemorySystem,
    PageCursor,
    RecallHit,
    RecallReport,
    ReembedReport,
    Reflection,
    RelatedMemory,
    SkippedGroup,
    TierStats,
)
from .errors import (
    ArchivedError,
    ChangedError,
    ClosedError,
    ConfigurationError,
    ConflictError,
    CorruptError,
    ForeignDataError,
    FullError,
    InvalidInputError,
    LimitReachedError,
    MemorySystemError,
    MissingError,
    NewerSchemaError,
    NotFoundError,
    OutcomeUnknownError,
    ReadOnlyError,
    UnavailableError,
    UnsupportedError,
)

__all__ = [
    "ArchivedError",
    "AsyncMemorySystem",
    "CacheStats",
    "ChangedError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConsolidatedSummary",
    "ConsolidationReport",
    "CorruptError",
    "EntityStats",
    "ExcludedHits",
    "ForeignDataError",
    "FullError",
    "InvalidInputError",
    "LimitReachedError",
    "ListPage",
    "Memory",
    "MemoryBatchItem",
    "MemoryConfig",
    "MemoryFilter",
    "MemorySystem",
    "MemorySystemError",
    "MissingError",
    "NewerSchemaError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PageCursor",
    "ReadOnlyError",
    "RecallHit",
    "RecallReport",
    "ReembedReport",
    "Reflection",
    "RelatedMemory",
    "SkippedGroup",
    "TierStats",
    "UnavailableError",
    "UnsupportedError",
]
