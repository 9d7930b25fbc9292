//! [`Store::changes_since`](memory_core::Store::changes_since).

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{ChangeSet, EmbeddedMemory, EntityId, Generation, Memory, MemoryId, MemoryPatch};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{at, embedding, fingerprint, other_fingerprint, plain, varied};
use crate::store::{CheckContext, Tolerance};

/// From generation 0, the whole state: every memory with all its vectors.
pub async fn start_with_the_whole_state(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let changes = context.changes(&mira, Generation::ZERO).await?;
    ensure_eq!(changes, ChangeSet::default(), "changes before any write");
    let people = context.populate(&mira, 30, &mut context.rng()).await?;
    let changes = context.changes(&mira, Generation::ZERO).await?;
    ensure_eq!(changes.generation, Generation(1), "generation");
    ensure_eq!(changes.written.len(), 30, "memories written");
    for wanted in &people {
        let id = wanted.memory.id;
        let got = changes.written.iter().find(|item| item.memory.id == id);
        let Some(got) = got else {
            return Err(CheckFailure::failed(format!("memory {id} is missing")));
        };
        same_item(got, wanted, context.tolerance())?;
    }
    Ok(())
}

/// After a later generation, only what was written since; at the present one,
/// nothing.
pub async fn hold_only_what_changed(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    context.populate(&mira, 10, &mut rng).await?;
    let second = plain(&mira, "the second write", &mut rng);
    let third = plain(&mira, "the third write", &mut rng);
    context.insert(std::slice::from_ref(&second)).await?;
    context.insert(std::slice::from_ref(&third)).await?;
    for (since, wanted) in [(1, vec![&second, &third]), (2, vec![&third]), (3, vec![])] {
        let changes = context.changes(&mira, Generation(since)).await?;
        let got: BTreeSet<MemoryId> = changes.written.iter().map(|it| it.memory.id).collect();
        let wanted: BTreeSet<MemoryId> = wanted.iter().map(|it| it.memory.id).collect();
        ensure_eq!(got, wanted, "ids written after {since}");
        ensure_eq!(changes.removed, [], "ids removed after {since}");
        ensure!(!changes.reset, "reset after {since}");
        ensure_eq!(changes.generation, Generation(3), "generation");
    }
    Ok(())
}

/// Applying the changes to the state at `since` gives the present state, from
/// every earlier generation.
pub async fn lead_to_the_next_state(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut states = vec![state(context, &mira).await?];
    let mut known: Vec<MemoryId> = Vec::new();
    for round in 0..24 {
        match rng.below(4) {
            0 if known.len() > 3 => {
                let gone = known.swap_remove(rng.below(known.len()));
                context.store().delete(&mira, &[gone]).await.at("delete")?;
            }
            1 if !known.is_empty() => {
                let id = *rng.pick(&known);
                let patch = MemoryPatch::new().content(format!("changed in round {round}"));
                let fresh = embedding(2, &mut rng);
                let store = context.store();
                let done = store.update(&mira, &id, &patch, Some(&fresh)).await;
                done.at("update")?;
            }
            _ => {
                let batch: Vec<_> = (0..1 + rng.below(3))
                    .map(|n| varied(&mira, round * 10 + n, &mut rng))
                    .collect();
                known.extend(batch.iter().map(|item| item.memory.id));
                context.insert(&batch).await?;
            }
        }
        states.push(state(context, &mira).await?);
    }
    let present = &states[states.len() - 1];
    for (since, then) in states.iter().enumerate() {
        let changes = context.changes(&mira, Generation(since as u64)).await?;
        let got = apply(then.clone(), changes)?;
        same_state(&got, present, context.tolerance()).at(format!("from generation {since}"))?;
    }
    Ok(())
}

/// Removals are reported to readers of earlier generations.
pub async fn report_deletions(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let people = context.populate(&mira, 5, &mut context.rng()).await?;
    let gone: Vec<MemoryId> = people[1..3].iter().map(|item| item.memory.id).collect();
    context.store().delete(&mira, &gone).await.at("delete")?;
    let changes = context.changes(&mira, Generation(1)).await?;
    let removed: BTreeSet<MemoryId> = changes.removed.iter().copied().collect();
    ensure_eq!(removed, gone.iter().copied().collect(), "removed after 1");
    ensure_eq!(changes.removed.len(), 2, "ids removed after 1");
    ensure_eq!(changes.written, [], "written after 1");
    ensure_eq!(changes.generation, Generation(2), "generation");
    let changes = context.changes(&mira, Generation(2)).await?;
    ensure_eq!(changes.removed, [], "removed after 2");
    let whole = context.changes(&mira, Generation::ZERO).await?;
    ensure_eq!(whole.written.len(), 3, "memories in the whole state");
    ensure_eq!(whole.removed, [], "removed in the whole state");
    Ok(())
}

/// Many removals later, a reader of any earlier generation still reaches the
/// present state: by every removal since then, or, where the store has dropped
/// old tombstones, by a reset.
pub async fn serve_readers_behind_many_removals(context: &CheckContext) -> CheckResult {
    /// More than a store has to keep of an entity with few memories.
    const CHURN: usize = 1_200;
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = context.populate(&mira, 24, &mut rng).await?;
    let mut readers = vec![(Generation(1), state(context, &mira).await?)];
    let removed: Vec<MemoryId> = people[..20].iter().map(|item| item.memory.id).collect();
    let store = context.store();
    let outcome = store.delete(&mira, &removed).await.at("delete")?;
    readers.push((outcome.generation, state(context, &mira).await?));
    let churn: Vec<EmbeddedMemory> = (0..CHURN)
        .map(|number| plain(&mira, format!("removed soon, number {number}"), &mut rng))
        .collect();
    context.insert(&churn).await?;
    for part in churn.chunks(CHURN / 3) {
        let ids: Vec<MemoryId> = part.iter().map(|item| item.memory.id).collect();
        let outcome = store.delete(&mira, &ids).await.at("delete")?;
        readers.push((outcome.generation, state(context, &mira).await?));
    }
    let present = state(context, &mira).await?;
    ensure_eq!(present.len(), 4, "memories that are left");
    for (since, then) in readers {
        let changes = context.changes(&mira, since).await?;
        if changes.reset {
            ensure_eq!(changes.removed, [], "ids removed with a reset");
        }
        let got = apply(then, changes)?;
        same_state(&got, &present, context.tolerance())
            .at(format!("from generation {since} on"))?;
    }
    Ok(())
}

/// An id comes once, in its latest state: what was removed and inserted again
/// is written and not removed, what was written and removed is removed only.
pub async fn hold_the_latest_state_only(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let back = plain(&mira, "goes and comes back", &mut rng);
    let gone = plain(&mira, "changes and goes", &mut rng);
    let (back_id, gone_id) = (back.memory.id, gone.memory.id);
    context.insert(&[back.clone(), gone]).await?;
    let store = context.store();
    store.delete(&mira, &[back_id]).await.at("delete")?;
    let mut reinserted = plain(&mira, "back again", &mut rng);
    reinserted.memory.id = back_id;
    context.insert(std::slice::from_ref(&reinserted)).await?;
    for importance in [0.1, 0.2] {
        let patch = MemoryPatch::new().importance(importance);
        let done = store.update(&mira, &gone_id, &patch, None).await;
        done.at("update")?;
    }
    store.delete(&mira, &[gone_id]).await.at("delete")?;
    for since in [1, 2] {
        let changes = context.changes(&mira, Generation(since)).await?;
        let written: Vec<&Memory> = changes.written.iter().map(|item| &item.memory).collect();
        ensure_eq!(written, [&reinserted.memory], "written after {since}");
        ensure_eq!(changes.removed, [gone_id], "removed after {since}");
    }
    let whole = context.changes(&mira, Generation::ZERO).await?;
    ensure_eq!(whole.written.len(), 1, "memories in the whole state");
    ensure!(
        !whole.removed.contains(&back_id),
        "an id is both written and removed"
    );
    Ok(())
}

/// A `since` beyond the entity's generation answers with the whole state and
/// `reset`.
pub async fn start_over_beyond_the_generation(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let people = context.populate(&mira, 4, &mut context.rng()).await?;
    for since in [2, 1_000_000] {
        let changes = context.changes(&mira, Generation(since)).await?;
        ensure!(changes.reset, "no reset since {since} at generation 1");
        ensure_eq!(changes.generation, Generation(1), "generation");
        let got: BTreeSet<MemoryId> = changes.written.iter().map(|it| it.memory.id).collect();
        let wanted = people.iter().map(|item| item.memory.id).collect();
        ensure_eq!(got, wanted, "the whole state since {since}");
    }
    let stranger = context.entity("stranger");
    let changes = context.changes(&stranger, Generation(3)).await?;
    ensure!(changes.reset, "no reset for an entity never written to");
    ensure_eq!(changes.written, [], "written by a stranger");
    ensure_eq!(changes.generation, Generation::ZERO, "generation");
    Ok(())
}

/// A memory without a vector of the fingerprint asked for comes all the same,
/// with no vectors; the embedding has the fingerprint asked for.
pub async fn bring_vectors_of_one_fingerprint(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let ours = plain(&mira, "of our model", &mut rng);
    let mut theirs = plain(&mira, "of their model", &mut rng);
    theirs.embedding.fingerprint = other_fingerprint();
    context.insert(&[ours.clone(), theirs.clone()]).await?;
    for (asked, with) in [(fingerprint(), &ours), (other_fingerprint(), &theirs)] {
        let store = context.store();
        let changes = store.changes_since(&mira, Generation::ZERO, &asked).await;
        let changes = changes.at("changes_since")?;
        ensure_eq!(changes.written.len(), 2, "memories");
        for item in &changes.written {
            ensure_eq!(item.embedding.fingerprint, asked, "fingerprint");
            if item.memory.id == with.memory.id {
                same_item(item, with, context.tolerance())?;
            } else {
                ensure_eq!(item.embedding.vectors.len(), 0, "vectors of another model");
            }
        }
    }
    Ok(())
}

/// Embedding a memory again with another model, its content unchanged, is a
/// write: the new model's followers learn of it.
pub async fn follow_a_change_of_model(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = plain(&mira, "embedded twice", &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let mut fresh = embedding(3, &mut rng);
    fresh.fingerprint = other_fingerprint();
    let patch = MemoryPatch::new().content(item.memory.content.clone());
    let store = context.store();
    let done = store.update(&mira, &id, &patch, Some(&fresh)).await;
    ensure_eq!(done.at("update")?.generation, Generation(2), "generation");
    let asked = other_fingerprint();
    let changes = store.changes_since(&mira, Generation(1), &asked).await;
    let changes = changes.at("changes_since")?;
    ensure_eq!(changes.written.len(), 1, "memories written");
    let wanted = EmbeddedMemory {
        memory: item.memory,
        embedding: fresh,
    };
    same_item(&changes.written[0], &wanted, context.tolerance())?;
    let old = context.changes(&mira, Generation::ZERO).await?;
    ensure_eq!(old.written.len(), 1, "memories by the old model");
    let vectors = old.written[0].embedding.vectors.len();
    ensure_eq!(vectors, 0, "vectors of the old model");
    Ok(())
}

type State = BTreeMap<MemoryId, EmbeddedMemory>;

/// The whole state, from the changes since generation 0.
async fn state(context: &CheckContext, entity: &EntityId) -> Result<State, CheckFailure> {
    apply(
        State::new(),
        context.changes(entity, Generation::ZERO).await?,
    )
}

/// Applies changes as a snapshot would; an id may occur in them once.
pub(crate) fn apply(mut state: State, changes: ChangeSet) -> Result<State, CheckFailure> {
    if changes.reset {
        state.clear();
    }
    let written = changes.written.iter().map(|item| item.memory.id);
    let mut seen = BTreeSet::new();
    for id in written.chain(changes.removed.iter().copied()) {
        ensure!(seen.insert(id), "id {id} occurs twice in the changes");
    }
    for id in &changes.removed {
        state.remove(id);
    }
    for item in changes.written {
        state.insert(item.memory.id, item);
    }
    Ok(state)
}

/// Compares two states, vectors within the tolerance.
pub(crate) fn same_state(got: &State, wanted: &State, tolerance: Tolerance) -> CheckResult {
    let ids = |state: &State| state.keys().copied().collect::<Vec<MemoryId>>();
    ensure_eq!(ids(got), ids(wanted), "ids");
    let pairs = got.values().zip(wanted.values());
    pairs
        .into_iter()
        .try_for_each(|(got, wanted)| same_item(got, wanted, tolerance))
}

/// Compares a memory and its vectors, these within the tolerance.
pub(crate) fn same_item(
    got: &EmbeddedMemory,
    wanted: &EmbeddedMemory,
    tolerance: Tolerance,
) -> CheckResult {
    let id = wanted.memory.id;
    ensure_eq!(got.memory, wanted.memory, "memory");
    let (got, wanted) = (&got.embedding, &wanted.embedding);
    ensure_eq!(got.fingerprint, wanted.fingerprint, "fingerprint of {id}");
    ensure_eq!(got.vectors.len(), wanted.vectors.len(), "vectors of {id}");
    for (chunk, (got, wanted)) in got.vectors.iter().zip(&wanted.vectors).enumerate() {
        ensure_eq!(
            got.len(),
            wanted.len(),
            "components of {id}, vector {chunk}"
        );
        let same = got.iter().zip(wanted).all(|(a, b)| tolerance.same(*a, *b));
        ensure!(same, "vector {chunk} of {id} is not the one written");
    }
    Ok(())
}

/// A touch changes access counts without a generation, so snapshots may lag
/// behind in them: this takes them out of a comparison.
pub(crate) fn without_access(mut state: State) -> State {
    for item in state.values_mut() {
        item.memory.access_count = 0;
        item.memory.last_accessed = Some(at(0));
    }
    state
}
