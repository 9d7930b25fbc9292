"""The story of docs/guide.md, with calls that wait."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from memory import (
    ClosedError,
    InvalidInputError,
    LimitReachedError,
    MemoryBatchItem,
    MemoryConfig,
    MemoryFilter,
    MemorySystem,
    NotFoundError,
)

HORSE = "Tam sold me a lame horse."


def test_retain_and_recall(system: MemorySystem) -> None:
    system.retain("mira", "world", "The mill stands north of the bridge.")
    ids = system.retain_batch(
        [
            MemoryBatchItem(
                "mira",
                "experience",
                HORSE,
                entities={"tam": "seller"},
                tags=["market"],
                context="spring market",
                importance=0.8,
            ),
            MemoryBatchItem("mira", "observation", "Snow closed the road to the mill."),
        ]
    )
    assert [type(id) for id in ids] == [UUID, UUID]

    found = system.recall("mira", "Who cheated me over an animal?")
    assert found[0].memory.id == ids[0]
    assert found[0].similarity is not None
    assert found[0].explanation["similarity"] == pytest.approx(found[0].similarity)

    of_tam = system.recall(
        "mira", "what happened?", filter=MemoryFilter(involves="tam"), limit=5
    )
    assert [hit.memory.id for hit in of_tam] == [ids[0]]


def test_every_field_of_a_memory_is_returned_as_it_was_given(system: MemorySystem) -> None:
    other = system.retain("mira", "world", "Bread is expensive.")
    chosen = uuid4()
    moment = datetime(2026, 3, 1, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    id = system.retain(
        "mira",
        "experience",
        HORSE,
        id=chosen,
        timestamp=moment,
        importance=0.9,
        context="spring market",
        metadata={"price": "40"},
        related={str(other): "caused by"},
        entities={"tam": "seller"},
        tags={"market", "horses"},
    )
    assert id == chosen
    memory = system.get_memory("mira", str(chosen))
    assert (memory.id, memory.entity_id, memory.kind) == (chosen, "mira", "experience")
    assert memory.content == HORSE
    assert memory.timestamp == moment
    assert memory.timestamp.utcoffset() == timedelta(0)
    assert memory.importance == 0.9
    assert memory.decay_rate == 0.01
    assert memory.context == "spring market"
    assert memory.metadata == {"price": "40"}
    assert memory.related == {other: "caused by"}
    assert memory.entities == {"tam": "seller"}
    assert memory.tags == frozenset({"market", "horses"})
    assert memory.archived_by is None and memory.is_live
    assert (memory.last_accessed, memory.access_count) == (None, 0)
    assert memory.current_importance(moment) == pytest.approx(0.9)
    assert MemoryFilter(tags=["market"], tag_mode="any-strict").matches(memory)
    assert memory == system.get_memory("mira", chosen)
    assert memory != system.get_memory("mira", other)


def test_relevance_and_what_it_leaves_out(system: MemorySystem) -> None:
    system.retain("mira", "world", "The bank in Harrow lends at four percent.")
    found = system.recall("mira", "At what rate does the bank lend?", min_relevance=0.1)
    assert len(found) == 1
    report = system.recall_report("mira", "Who sings in the choir?", min_relevance=0.1)
    assert report.hits == []
    assert report.below_min_relevance.count == 1
    assert (report.without_vectors, report.by_previous_model) == (0, False)


def test_vectors_of_your_own(system: MemorySystem) -> None:
    of_content, of_question = system.generate_embeddings_batch(
        [HORSE, "Who sold me a horse?"]
    )
    system.retain("mira", "experience", HORSE, embedding=of_content)
    hits = system.recall("mira", "Who sold me a horse?", vector=of_question)
    assert hits[0].similarity is not None
    with pytest.raises(InvalidInputError, match="a vector has 0 dimensions"):
        system.recall("mira", "Who sold me a horse?", vector=[])
    with pytest.raises(InvalidInputError, match="a vector has 0 dimensions"):
        system.retain("mira", "experience", HORSE, embedding=[])


def test_read_alter_delete(system: MemorySystem) -> None:
    id = system.retain("mira", "opinion", "Tam is a cheat.", context="market")
    altered = system.alter_memory(
        "mira", id, content="Tam is a cheat, but sorry for it.", importance=0.9
    )
    assert (altered.importance, altered.context) == (0.9, "market")
    assert system.alter_memory("mira", id, context=None).context is None
    page = system.list_memories("mira", limit=10)
    assert page.memories[0].importance == 0.9
    assert page.next is None
    assert system.count_memories("mira") == 1
    assert system.count_memories("mira", MemoryFilter(kinds=["world"])) == 0
    assert system.delete_memory("mira", id) == [id]
    assert system.get_memories("mira", [id]) == [None]


def test_pages_of_a_list(system: MemorySystem) -> None:
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    system.retain_batch(
        [
            MemoryBatchItem(
                "mira",
                "observation",
                f"Day {day} was dry.",
                timestamp=start + timedelta(days=day),
            )
            for day in range(5)
        ]
    )
    contents = []
    after = None
    while True:
        page = system.list_memories("mira", limit=2, after=after)
        contents += [memory.content for memory in page.memories]
        if page.next is None:
            break
        after = page.next
    assert contents == [f"Day {day} was dry." for day in (4, 3, 2, 1, 0)]


def test_relate(system: MemorySystem) -> None:
    fire = system.retain("mira", "experience", "The mill burned down.")
    spark = system.retain("mira", "observation", "Sparks flew from the forge.")
    system.relate("mira", fire, spark, "caused by")
    (related,) = system.related("mira", spark)
    assert (related.memory.id, related.direction) == (fire, "incoming")
    assert related.relation == "caused by"
    system.unrelate("mira", fire, spark)
    assert system.related("mira", spark) == []


def test_reflect_without_and_with_a_language_model() -> None:
    prompts: list[str] = []

    def shrug(prompt: str) -> str:
        prompts.append(prompt)
        return "Who knows?"

    with MemorySystem.open("sqlite::memory:") as system:
        system.retain("mira", "experience", HORSE)
        reflection = system.reflect("mira", "Can Tam be trusted?")
        assert reflection.answer is None
        assert HORSE in reflection.text
    with MemorySystem.open("sqlite::memory:", language_model=shrug) as system:
        system.retain("mira", "experience", HORSE)
        reflection = system.reflect("mira", "Can Tam be trusted?")
        assert (reflection.text, len(reflection.memories)) == ("Who knows?", 1)
    (prompt,) = prompts
    assert HORSE in prompt


def test_consolidate_and_undo(system: MemorySystem) -> None:
    texts = [HORSE, "tam sold me  a lame horse!", "Bread is dear."]
    system.retain_batch([MemoryBatchItem("mira", "experience", text) for text in texts])
    before = datetime.now(timezone.utc)
    report = system.consolidate("mira")
    (summary,) = report.summaries
    assert (len(summary.sources), report.skipped) == (2, [])
    assert system.get_memory("mira", summary.id).content == "tam sold me  a lame horse!"
    assert len(system.recall("mira", "horse")) == 2
    for scope in (summary.id, str(summary.id)):
        assert len(system.list_memories("mira", scope=scope).memories) == 2
    archived = system.list_memories("mira", scope="archived").memories
    assert {memory.archived_by for memory in archived} == {summary.id}
    assert len(system.list_memories("mira", as_of=before).memories) == 3
    assert len(system.recall("mira", "horse", as_of=before)) == 3
    assert system.entity_stats("mira").archived_count == 2

    assert set(system.undo_consolidation("mira", summary.id)) == set(summary.sources)
    assert len(system.recall("mira", "horse")) == 3
    assert system.auto_consolidate_if_needed("mira") is None


def test_forget_prune_and_limits() -> None:
    config = MemoryConfig(max_memories_per_entity=2, limit_policy="prune", prune_min_keep=1)
    with MemorySystem.open("sqlite::memory:", config=config) as system:
        key = system.retain("mira", "world", "The key lies under the stairs.")
        assert system.forget("mira", key) == [key]
        with pytest.raises(NotFoundError):
            system.get_memory("mira", key)
        for day in range(5):
            system.retain("mira", "observation", f"Day {day} was dry.")
        stats = system.entity_stats("mira")
        assert stats.memory_count == 2
        assert stats.generation == system.entity_generation("mira")
        assert system.prune_low_importance_memories("mira", 1) == []
    config = MemoryConfig(preset="low_memory", max_memories_per_entity=1)
    with MemorySystem.open("sqlite::memory:", config=config) as system:
        system.retain("mira", "world", "Bread is expensive.")
        with pytest.raises(LimitReachedError, match="at most 1 are allowed"):
            system.retain("mira", "world", "Horses are cheap.")


def test_entities_are_separate(system: MemorySystem) -> None:
    id = system.retain("mira", "experience", HORSE)
    system.retain("tam", "experience", "I sold a horse.")
    with pytest.raises(NotFoundError):
        system.get_memory("tam", id)
    with pytest.raises(NotFoundError):
        system.forget("tam", id)
    hits = system.recall("tam", "Who sold me a lame horse?")
    assert [hit.memory.content for hit in hits] == ["I sold a horse."]
    system.check_embedder()
    assert system.list_entities() == ["mira", "tam"]
    assert system.list_entities(after="mira", limit=1) == ["tam"]


def test_a_file_is_reopened_and_backed_up(url: str, tmp_path: Path) -> None:
    with MemorySystem.open(url) as system:
        id = system.retain("mira", "experience", HORSE)
        system.backup(tmp_path / "copy.db")
    with pytest.raises(ClosedError):
        system.get_memory("mira", id)
    for path in ("agent.db", "copy.db"):
        with MemorySystem.open(f"sqlite://{tmp_path / path}") as system:
            assert system.get_memory("mira", id).content == HORSE
            assert system.recall("mira", "Who sold me a horse?")[0].memory.id == id


def test_a_system_that_is_not_closed_loses_no_memory(url: str) -> None:
    system = MemorySystem.open(url)
    system.retain("mira", "experience", HORSE)
    del system
    with MemorySystem.open(url) as system:
        assert system.count_memories("mira") == 1


def test_a_model_by_name_and_precision() -> None:
    with MemorySystem.open(
        "sqlite::memory:", model="all-MiniLM-L6-v2", precision="int8"
    ) as system:
        system.retain("mira", "experience", HORSE)
        (hit,) = system.recall("mira", "Who cheated me over an animal?")
        assert hit.similarity is not None


def test_memories_are_restored_in_another_system(system: MemorySystem, url: str) -> None:
    system.retain_batch([MemoryBatchItem("mira", "experience", HORSE) for _ in range(2)])
    (summary,) = system.consolidate("mira").summaries
    sources = system.list_memories("mira", scope="archived").memories
    with MemorySystem.open(url) as other:
        assert set(other.restore_memories(sources)) == set(summary.sources)
        assert other.restore_summary(system.get_memory("mira", summary.id), summary.sources)
        assert other.entity_stats("mira").archived_count == 2


def test_models_and_reembedding(system: MemorySystem) -> None:
    system.retain("mira", "world", "Bread is expensive.")
    report = system.reembed("mira", all=True, max_per_second=1000)
    assert (report.checked, report.reembedded, report.is_complete) == (1, 1, True)
    assert list(system.count_by_model("mira").values()) == [1]


def test_settings_of_a_file(url: str, tmp_path: Path) -> None:
    file = tmp_path / "memory.toml"
    file.write_text(f'db = "{url}"\nmax_memories_per_entity = 1\n')
    with MemorySystem.open(settings_file=file) as system:
        system.retain("mira", "world", "Bread is expensive.")
        with pytest.raises(LimitReachedError):
            system.retain("mira", "world", "Horses are cheap.")
    # What is set in code replaces what the file says.
    config = MemoryConfig(max_memories_per_entity=2)
    with MemorySystem.open(settings_file=file, config=config) as system:
        system.retain("mira", "world", "Horses are cheap.")


def test_caches_count_and_can_be_emptied(system: MemorySystem) -> None:
    id = system.retain("mira", "world", "Bread is expensive.")
    system.get_memory("mira", id)
    system.get_memory("mira", id)
    stats = system.cache_stats()
    assert stats.memory.hits >= 1
    assert 0 < stats.memory.hit_rate <= 1
    system.invalidate_memory_cache(id)
    system.invalidate_entity_cache("mira")
    system.clear_all_caches()
    assert system.cache_stats().memory.entries == 0


def test_the_text_of_an_object_has_the_beginning_of_a_content(system: MemorySystem) -> None:
    id = system.retain("mira", "world", "word " * 1000)
    memory = system.get_memory("mira", id)
    assert str(id) in repr(memory)
    for value in (
        memory,
        system.recall("mira", "word")[0],
        system.list_memories("mira"),
        system.recall_report("mira", "word"),
        system.reflect("mira", "word"),
        MemoryBatchItem("mira", "world", "word " * 1000),
    ):
        assert len(repr(value)) < 300, repr(value)
