"""Types of the native module.

Every argument `entity` names whose memories an operation is about: no operation sees
another entity's. Times are aware datetimes; those that are returned are in UTC.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Literal, final
from uuid import UUID

from typing_extensions import Self

from ._asyncio import Opening
from .types import AnyId, Links, MemoryKind, Precision, RankingName, Scope, TagMode

__all__ = [
    "AsyncMemorySystem",
    "CacheStats",
    "ConsolidatedSummary",
    "ConsolidationReport",
    "EntityStats",
    "ExcludedHits",
    "ListPage",
    "Memory",
    "MemoryBatchItem",
    "MemoryConfig",
    "MemoryFilter",
    "MemorySystem",
    "PageCursor",
    "RecallHit",
    "RecallReport",
    "ReembedReport",
    "Reflection",
    "RelatedMemory",
    "SkippedGroup",
    "TierStats",
]

@final
class MemorySystem:
    """A memory system. A call waits until its operation is done; other threads of Python
    run meanwhile, and Ctrl-C interrupts the call.
    """

    @staticmethod
    def open(
        url: str | None = None,
        *,
        config: MemoryConfig | None = None,
        model: str | None = None,
        precision: Precision | None = None,
        previous_model: str | None = None,
        settings_file: str | PathLike[str] | None = None,
        settings_from_env: bool = False,
        replicas: Iterable[str] | None = None,
        shared_cache_url: str | None = None,
        shared_cache_budget: timedelta | None = None,
        language_model: Callable[[str], str] | None = None,
    ) -> MemorySystem:
        """Opens a database, such as `sqlite://agent.db`, with the default embedder.

        `model` is the name of a model directory in the cache directory, or a path.
        `config` replaces what `settings_file` and the environment say. `language_model`
        is called with a prompt by `reflect` and `consolidate`, on another thread.
        """
    def retain(
        self,
        entity: str,
        kind: MemoryKind,
        content: str,
        *,
        id: AnyId | None = None,
        timestamp: datetime | None = None,
        importance: float | None = None,
        context: str | None = None,
        metadata: dict[str, str] | None = None,
        related: Links | None = None,
        entities: dict[str, str] | None = None,
        tags: Iterable[str] | None = None,
        embedding: Sequence[float] | None = None,
    ) -> UUID:
        """Retains one memory, that happened now unless a time is given, and returns its id."""
    def retain_batch(self, items: Sequence[MemoryBatchItem]) -> list[UUID]:
        """Retains a batch, all or nothing, and returns the ids in order."""
    def generate_embeddings_batch(self, texts: Iterable[str]) -> list[list[float]]:
        """Embeds texts as they would be retained, without retaining them."""
    def recall(
        self,
        entity: str,
        text: str,
        *,
        filter: MemoryFilter | None = None,
        limit: int = 10,
        min_similarity: float | None = None,
        min_relevance: float | None = None,
        ranking: RankingName | None = None,
        as_of: datetime | None = None,
        rerank: bool = True,
        vector: Sequence[float] | None = None,
    ) -> list[RecallHit]:
        """Recalls the memories that matter to a text, best first."""
    def recall_report(
        self,
        entity: str,
        text: str,
        *,
        filter: MemoryFilter | None = None,
        limit: int = 10,
        min_similarity: float | None = None,
        min_relevance: float | None = None,
        ranking: RankingName | None = None,
        as_of: datetime | None = None,
        rerank: bool = True,
        vector: Sequence[float] | None = None,
    ) -> RecallReport:
        """As `recall`, and counts what could not be compared or was left out."""
    def reflect(
        self,
        entity: str,
        text: str,
        *,
        max_context_chars: int = 12000,
        filter: MemoryFilter | None = None,
        limit: int = 10,
        min_similarity: float | None = None,
        min_relevance: float | None = None,
        ranking: RankingName | None = None,
        as_of: datetime | None = None,
        rerank: bool = True,
        vector: Sequence[float] | None = None,
    ) -> Reflection:
        """Answers a question from what the entity remembers."""
    def get_memory(self, entity: str, id: AnyId) -> Memory:
        """Reads one memory."""
    def get_memories(self, entity: str, ids: Sequence[AnyId]) -> list[Memory | None]:
        """Reads memories; `None` where the entity has no such memory."""
    def list_memories(
        self,
        entity: str,
        *,
        limit: int = 20,
        filter: MemoryFilter | None = None,
        scope: Scope = ...,
        after: PageCursor | None = None,
        as_of: datetime | None = None,
    ) -> ListPage:
        """Reads a page of memories, newest first: what is live, what is archived, or the
        sources of a summary.
        """
    def count_memories(self, entity: str, filter: MemoryFilter | None = None) -> int:
        """Counts the live memories that match a filter."""
    def alter_memory(
        self,
        entity: str,
        id: AnyId,
        *,
        content: str | None = None,
        kind: MemoryKind | None = None,
        timestamp: datetime | None = None,
        importance: float | None = None,
        context: str | None = ...,
        metadata: dict[str, str] | None = None,
        related: Links | None = None,
        relate: Links | None = None,
        unrelate: Sequence[AnyId] | None = None,
        entities: dict[str, str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> Memory:
        """Changes one memory and returns it as it is afterward. What is left out stays;
        `context=None` removes the context.
        """
    def delete_memory(self, entity: str, id: AnyId) -> list[UUID]:
        """Removes one memory permanently; the sources of a summary are live again. Returns
        the ids of what was removed: with an archived memory, every summary above it.
        """
    def forget(self, entity: str, id: AnyId) -> list[UUID]:
        """Forgets a memory, leaving nothing of it, and returns the ids of what was removed."""
    def relate(self, entity: str, from_id: AnyId, to_id: AnyId, relation: str) -> None:
        """Links one memory to another of the same entity."""
    def unrelate(self, entity: str, from_id: AnyId, to_id: AnyId) -> None:
        """Removes the link from one memory to another, if there is one."""
    def related(self, entity: str, id: AnyId) -> list[RelatedMemory]:
        """The memories that a memory links to, then the live ones that link to it,
        newest first, at most 1,000 of these.
        """
    def consolidate(
        self,
        entity: str,
        *,
        filter: MemoryFilter | None = None,
        min_similarity: float | None = None,
        min_sources: int = 2,
    ) -> ConsolidationReport:
        """Replaces each group of memories that say the same thing by one summary."""
    def auto_consolidate_if_needed(self, entity: str) -> ConsolidationReport | None:
        """Consolidates if enough is new since the last time; `None` otherwise."""
    def undo_consolidation(self, entity: str, summary: AnyId) -> list[UUID]:
        """Removes a summary, makes its sources live again, and returns their ids."""
    def prune_low_importance_memories(self, entity: str, min_keep: int) -> list[UUID]:
        """Removes faded memories while more than `min_keep` are live, and returns the ids of
        what was removed.
        """
    def reembed(
        self,
        entity: str,
        *,
        all: bool = False,
        dry_run: bool = False,
        keep_others: bool = False,
        max_per_second: int | None = None,
    ) -> ReembedReport:
        """Embeds memories that lack vectors of the model."""
    def restore_memories(self, memories: Sequence[Memory]) -> list[UUID]:
        """Retains complete memories, as another system returned them, and returns their ids."""
    def restore_summary(self, summary: Memory, sources: Sequence[AnyId]) -> bool:
        """Restores a summary above its live sources; says whether it was missing."""
    def entity_stats(self, entity: str) -> EntityStats:
        """How often the entity was written to, and how many memories it has."""
    def entity_generation(self, entity: str) -> int:
        """How often the entity was written to."""
    def count_by_model(self, entity: str) -> dict[str, int]:
        """How many memories have vectors of each model."""
    def list_entities(self, *, after: str | None = None, limit: int = 100) -> list[str]:
        """Entities that have memories, in the order of their names, after `after`."""
    def check_embedder(self) -> None:
        """Embeds one word with a real call of the model, to check that it works."""
    def backup(self, target: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Copies the whole database to a new file, while it is in use."""
    def close(self) -> None:
        """Finishes work in progress, flushes pending access counts and closes the store."""
    def cache_stats(self) -> CacheStats:
        """Counters of the three tiers since the system was opened."""
    def clear_all_caches(self) -> None:
        """Empties all three tiers. Never needed for correctness."""
    def invalidate_memory_cache(self, id: AnyId) -> None:
        """Removes one memory from the memory tier."""
    def invalidate_entity_cache(self, entity: str) -> None:
        """Removes an entity's snapshot from the entity tier."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class AsyncMemorySystem:
    """A memory system for asyncio. A call returns a coroutine; cancelling it abandons a
    read, and a write runs to its end.
    """

    @staticmethod
    def open(
        url: str | None = None,
        *,
        config: MemoryConfig | None = None,
        model: str | None = None,
        precision: Precision | None = None,
        previous_model: str | None = None,
        settings_file: str | PathLike[str] | None = None,
        settings_from_env: bool = False,
        replicas: Iterable[str] | None = None,
        shared_cache_url: str | None = None,
        shared_cache_budget: timedelta | None = None,
        language_model: Callable[[str], str] | None = None,
    ) -> Opening:
        """Opens a database, as `MemorySystem.open`: to be awaited, or for `async with`."""
    async def retain(
        self,
        entity: str,
        kind: MemoryKind,
        content: str,
        *,
        id: AnyId | None = None,
        timestamp: datetime | None = None,
        importance: float | None = None,
        context: str | None = None,
        metadata: dict[str, str] | None = None,
        related: Links | None = None,
        entities: dict[str, str] | None = None,
        tags: Iterable[str] | None = None,
        embedding: Sequence[float] | None = None,
    ) -> UUID:
        """Retains one memory, that happened now unless a time is given, and returns its id."""
    async def retain_batch(self, items: Sequence[MemoryBatchItem]) -> list[UUID]:
        """Retains a batch, all or nothing, and returns the ids in order."""
    async def generate_embeddings_batch(
        self, texts: Iterable[str]
    ) -> list[list[float]]:
        """Embeds texts as they would be retained, without retaining them."""
    async def recall(
        self,
        entity: str,
        text: str,
        *,
        filter: MemoryFilter | None = None,
        limit: int = 10,
        min_similarity: float | None = None,
        min_relevance: float | None = None,
        ranking: RankingName | None = None,
        as_of: datetime | None = None,
        rerank: bool = True,
        vector: Sequence[float] | None = None,
    ) -> list[RecallHit]:
        """Recalls the memories that matter to a text, best first."""
    async def recall_report(
        self,
        entity: str,
        text: str,
        *,
        filter: MemoryFilter | None = None,
        limit: int = 10,
        min_similarity: float | None = None,
        min_relevance: float | None = None,
        ranking: RankingName | None = None,
        as_of: datetime | None = None,
        rerank: bool = True,
        vector: Sequence[float] | None = None,
    ) -> RecallReport:
        """As `recall`, and counts what could not be compared or was left out."""
    async def reflect(
        self,
        entity: str,
        text: str,
        *,
        max_context_chars: int = 12000,
        filter: MemoryFilter | None = None,
        limit: int = 10,
        min_similarity: float | None = None,
        min_relevance: float | None = None,
        ranking: RankingName | None = None,
        as_of: datetime | None = None,
        rerank: bool = True,
        vector: Sequence[float] | None = None,
    ) -> Reflection:
        """Answers a question from what the entity remembers."""
    async def get_memory(self, entity: str, id: AnyId) -> Memory:
        """Reads one memory."""
    async def get_memories(
        self, entity: str, ids: Sequence[AnyId]
    ) -> list[Memory | None]:
        """Reads memories; `None` where the entity has no such memory."""
    async def list_memories(
        self,
        entity: str,
        *,
        limit: int = 20,
        filter: MemoryFilter | None = None,
        scope: Scope = ...,
        after: PageCursor | None = None,
        as_of: datetime | None = None,
    ) -> ListPage:
        """Reads a page of memories, newest first: what is live, what is archived, or the
        sources of a summary.
        """
    async def count_memories(
        self, entity: str, filter: MemoryFilter | None = None
    ) -> int:
        """Counts the live memories that match a filter."""
    async def alter_memory(
        self,
        entity: str,
        id: AnyId,
        *,
        content: str | None = None,
        kind: MemoryKind | None = None,
        timestamp: datetime | None = None,
        importance: float | None = None,
        context: str | None = ...,
        metadata: dict[str, str] | None = None,
        related: Links | None = None,
        relate: Links | None = None,
        unrelate: Sequence[AnyId] | None = None,
        entities: dict[str, str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> Memory:
        """Changes one memory and returns it as it is afterward. What is left out stays;
        `context=None` removes the context.
        """
    async def delete_memory(self, entity: str, id: AnyId) -> list[UUID]:
        """Removes one memory permanently; the sources of a summary are live again. Returns
        the ids of what was removed: with an archived memory, every summary above it.
        """
    async def forget(self, entity: str, id: AnyId) -> list[UUID]:
        """Forgets a memory, leaving nothing of it, and returns the ids of what was removed."""
    async def relate(
        self, entity: str, from_id: AnyId, to_id: AnyId, relation: str
    ) -> None:
        """Links one memory to another of the same entity."""
    async def unrelate(self, entity: str, from_id: AnyId, to_id: AnyId) -> None:
        """Removes the link from one memory to another, if there is one."""
    async def related(self, entity: str, id: AnyId) -> list[RelatedMemory]:
        """The memories that a memory links to, then the live ones that link to it,
        newest first, at most 1,000 of these.
        """
    async def consolidate(
        self,
        entity: str,
        *,
        filter: MemoryFilter | None = None,
        min_similarity: float | None = None,
        min_sources: int = 2,
    ) -> ConsolidationReport:
        """Replaces each group of memories that say the same thing by one summary."""
    async def auto_consolidate_if_needed(
        self, entity: str
    ) -> ConsolidationReport | None:
        """Consolidates if enough is new since the last time; `None` otherwise."""
    async def undo_consolidation(self, entity: str, summary: AnyId) -> list[UUID]:
        """Removes a summary, makes its sources live again, and returns their ids."""
    async def prune_low_importance_memories(
        self, entity: str, min_keep: int
    ) -> list[UUID]:
        """Removes faded memories while more than `min_keep` are live, and returns the ids of
        what was removed.
        """
    async def reembed(
        self,
        entity: str,
        *,
        all: bool = False,
        dry_run: bool = False,
        keep_others: bool = False,
        max_per_second: int | None = None,
    ) -> ReembedReport:
        """Embeds memories that lack vectors of the model."""
    async def restore_memories(self, memories: Sequence[Memory]) -> list[UUID]:
        """Retains complete memories, as another system returned them, and returns their ids."""
    async def restore_summary(self, summary: Memory, sources: Sequence[AnyId]) -> bool:
        """Restores a summary above its live sources; says whether it was missing."""
    async def entity_stats(self, entity: str) -> EntityStats:
        """How often the entity was written to, and how many memories it has."""
    async def entity_generation(self, entity: str) -> int:
        """How often the entity was written to."""
    async def count_by_model(self, entity: str) -> dict[str, int]:
        """How many memories have vectors of each model."""
    async def list_entities(
        self, *, after: str | None = None, limit: int = 100
    ) -> list[str]:
        """Entities that have memories, in the order of their names, after `after`."""
    async def check_embedder(self) -> None:
        """Embeds one word with a real call of the model, to check that it works."""
    async def backup(
        self, target: str | PathLike[str], *, overwrite: bool = False
    ) -> None:
        """Copies the whole database to a new file, while it is in use."""
    async def close(self) -> None:
        """Finishes work in progress, flushes pending access counts and closes the store."""
    def cache_stats(self) -> CacheStats:
        """Counters of the three tiers since the system was opened."""
    def clear_all_caches(self) -> None:
        """Empties all three tiers. Never needed for correctness."""
    def invalidate_memory_cache(self, id: AnyId) -> None:
        """Removes one memory from the memory tier."""
    def invalidate_entity_cache(self, entity: str) -> None:
        """Removes an entity's snapshot from the entity tier."""
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Memory:
    """One memory of one entity. Collections are copies: changing them changes no memory."""

    @property
    def id(self) -> UUID:
        """Which memory."""
    @property
    def entity_id(self) -> str:
        """Whose memory."""
    @property
    def kind(self) -> MemoryKind:
        """Fact, experience, opinion or observation; decides how fast its importance decays."""
    @property
    def content(self) -> str:
        """The text, as it was given."""
    @property
    def timestamp(self) -> datetime:
        """When it happened."""
    @property
    def last_accessed(self) -> datetime | None:
        """When it was last recalled, if ever."""
    @property
    def access_count(self) -> int:
        """How often it was recalled."""
    @property
    def importance(self) -> float:
        """How much it mattered when it was made, 0 to 1."""
    @property
    def decay_rate(self) -> float:
        """Decay of importance per day."""
    @property
    def context(self) -> str | None:
        """The episode it belongs to."""
    @property
    def metadata(self) -> dict[str, str]:
        """Key and value pairs."""
    @property
    def related(self) -> dict[UUID, str]:
        """Other memories, and how they relate to this one."""
    @property
    def entities(self) -> dict[str, str]:
        """Participants, each with a role."""
    @property
    def tags(self) -> frozenset[str]:
        """Labels to filter by."""
    @property
    def archived_by(self) -> UUID | None:
        """The summary that represents it; `None` while it is live."""
    @property
    def is_live(self) -> bool:
        """Whether no summary has archived it."""
    def current_importance(self, at: datetime | None = None) -> float:
        """Importance after decay and raised by accesses, now or at a moment."""
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class ListPage:
    """A page of a list, newest first."""

    @property
    def memories(self) -> list[Memory]:
        """Newest first."""
    @property
    def next(self) -> PageCursor | None:
        """Where the next page begins; `None` on the last."""
    @property
    def generation(self) -> int:
        """How often the entity had been written to."""

@final
class PageCursor:
    """Where a page ended."""

    def __new__(cls, timestamp: datetime, id: AnyId) -> Self: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def id(self) -> UUID: ...
    def __getnewargs__(self) -> tuple[datetime, UUID]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class RecallHit:
    """A recalled memory and its score."""

    @property
    def memory(self) -> Memory:
        """The memory."""
    @property
    def score(self) -> float:
        """What hits are ordered by; compares hits of one recall."""
    @property
    def relevance(self) -> float:
        """The estimated probability that it answers the question."""
    @property
    def similarity(self) -> float | None:
        """Cosine of the question and the best chunk; `None` without a vector."""
    @property
    def explanation(self) -> dict[str, Any]:
        """Every input of the score and of the relevance, by name."""

@final
class ExcludedHits:
    """Hits that a recall found and did not return."""

    @property
    def count(self) -> int:
        """How many."""
    @property
    def max_relevance(self) -> float | None:
        """The highest relevance of them."""

@final
class RecallReport:
    """The hits of a recall, and what it could not compare or left out."""

    @property
    def hits(self) -> list[RecallHit]:
        """Best first."""
    @property
    def without_vectors(self) -> int:
        """Memories without a vector of the model, found by their words only."""
    @property
    def by_previous_model(self) -> bool:
        """Whether the vectors are those of the previous model."""
    @property
    def below_min_relevance(self) -> ExcludedHits:
        """Hits that `min_relevance` left out."""

@final
class Reflection:
    """The result of a reflection."""

    @property
    def answer(self) -> str | None:
        """The language model's answer; `None` without a language model."""
    @property
    def context(self) -> str:
        """The memories as in the prompt: one JSON object to a line."""
    @property
    def memories(self) -> list[RecallHit]:
        """The memories in the context, best first."""
    @property
    def omitted(self) -> int:
        """How many more memories match, which have no room in the context."""
    @property
    def without_vectors(self) -> int:
        """As in a recall report."""
    @property
    def by_previous_model(self) -> bool:
        """As in a recall report."""
    @property
    def text(self) -> str:
        """The answer, or the context where there is none."""

@final
class RelatedMemory:
    """A memory that is linked to the memory in question."""

    @property
    def memory(self) -> Memory:
        """The memory at the other end."""
    @property
    def relation(self) -> str:
        """The kind of the relation."""
    @property
    def direction(self) -> Literal["outgoing", "incoming"]:
        """Which of the two holds the link."""

@final
class ConsolidatedSummary:
    """A memory that replaces others since a consolidation."""

    @property
    def id(self) -> UUID:
        """The new memory."""
    @property
    def sources(self) -> list[UUID]:
        """What it replaces, oldest first."""

@final
class SkippedGroup:
    """A group that was not summarized; its memories stay live."""

    @property
    def sources(self) -> list[UUID]:
        """The memories of the group, oldest first."""
    @property
    def reason(self) -> str:
        """Why, such as `model_failed`."""

@final
class ConsolidationReport:
    """The result of a consolidation."""

    @property
    def summaries(self) -> list[ConsolidatedSummary]:
        """One for each group that was summarized."""
    @property
    def skipped(self) -> list[SkippedGroup]:
        """Groups that were left as they are."""

@final
class ReembedReport:
    """What re-embedding did."""

    @property
    def total(self) -> int:
        """Memories when it began, live and archived."""
    @property
    def checked(self) -> int:
        """Memories read."""
    @property
    def lacking(self) -> int:
        """Memories to embed."""
    @property
    def reembedded(self) -> int:
        """Memories with new vectors."""
    @property
    def changed(self) -> int:
        """Memories that were written to meanwhile."""
    @property
    def cleared(self) -> int:
        """Memories whose vectors of other models were removed."""
    @property
    def is_complete(self) -> bool:
        """Whether every memory has vectors of the model."""

@final
class EntityStats:
    """Generation and numbers of memories of an entity."""

    @property
    def generation(self) -> int:
        """How often it was written to."""
    @property
    def memory_count(self) -> int:
        """Live memories."""
    @property
    def archived_count(self) -> int:
        """Archived memories."""

@final
class TierStats:
    """Counters of one tier."""

    @property
    def entries(self) -> int:
        """Entries now."""
    @property
    def bytes(self) -> int:
        """Bytes now."""
    @property
    def hits(self) -> int:
        """Look-ups answered."""
    @property
    def misses(self) -> int:
        """Look-ups that found nothing."""
    @property
    def loads(self) -> int:
        """Loads that misses led to."""
    @property
    def coalesced_loads(self) -> int:
        """Misses that waited for a load that was running."""
    @property
    def evictions(self) -> int:
        """Entries removed because the tier was full or they expired."""
    @property
    def invalidations(self) -> int:
        """Entries dropped or replaced because of a write."""
    @property
    def stale_fills_refused(self) -> int:
        """Loads that a write overtook."""
    @property
    def hit_rate(self) -> float:
        """Hits among all look-ups, 0 to 1."""

@final
class CacheStats:
    """Counters of the three tiers since the system was opened."""

    @property
    def memory(self) -> TierStats:
        """Memory by id."""
    @property
    def entity(self) -> TierStats:
        """Snapshot by entity."""
    @property
    def embedding(self) -> TierStats:
        """Vector by text."""
    @property
    def hit_rate(self) -> float:
        """Hits among all look-ups of all tiers, 0 to 1."""

@final
class MemoryBatchItem:
    """A memory to be retained."""

    def __new__(
        cls,
        entity: str,
        kind: MemoryKind,
        content: str,
        *,
        id: AnyId | None = None,
        timestamp: datetime | None = None,
        importance: float | None = None,
        context: str | None = None,
        metadata: dict[str, str] | None = None,
        related: Links | None = None,
        entities: dict[str, str] | None = None,
        tags: Iterable[str] | None = None,
        embedding: Sequence[float] | None = None,
    ) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class MemoryFilter:
    """Which memories an operation is about: those that meet every condition. `since` is
    included, `until` is not.
    """

    def __new__(
        cls,
        *,
        kinds: Sequence[MemoryKind] | None = None,
        tags: Iterable[str] | None = None,
        tag_mode: TagMode | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        metadata: dict[str, str] | None = None,
        involves: str | None = None,
        relates_to: AnyId | None = None,
    ) -> Self: ...
    def matches(self, memory: Memory) -> bool:
        """Whether a memory meets every condition."""
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class MemoryConfig:
    """Sizes and lifetimes of the tiers, and limits of entities. What is given replaces
    the value of every other source of settings.
    """

    def __new__(
        cls,
        *,
        preset: Literal["default", "high_traffic", "low_memory"] | None = None,
        cache_max_capacity: int | None = None,
        cache_ttl_seconds: int | None = None,
        cache_tti_seconds: int | None = None,
        embedding_cache_capacity: int | None = None,
        embedding_cache_ttl_seconds: int | None = None,
        memory_cache_max_bytes: int | None = None,
        entity_cache_max_bytes: int | None = None,
        embedding_cache_max_bytes: int | None = None,
        consistency: Literal["local", "checked"] | timedelta | None = None,
        max_memories_per_entity: int | None = None,
        limit_policy: Literal["reject", "prune"] | None = None,
        prune_min_keep: int | None = None,
        consolidation_threshold: int | None = None,
        access_counting: Literal["background", "off"] | None = None,
        language: str | None = None,
        warm_entities: int | None = None,
    ) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]
