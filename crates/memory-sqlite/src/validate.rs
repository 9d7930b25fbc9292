//! Holding input to its bounds before anything is done.

use memory_core::{
    Embedding, ErrorKind, InvalidInput, Memory, MemoryError, MemoryPatch, MemoryResult,
    PreparedMemory, Touch, bounds,
};

/// A batch: every memory, every vector, no id twice.
pub(crate) fn batch(batch: &[PreparedMemory]) -> MemoryResult<()> {
    PreparedMemory::validate_batch(batch, bounds::MAX_DIMENSIONS)?;
    for (index, item) in batch.iter().enumerate() {
        memory(&item.memory).map_err(|error| error.at_item(index))?;
    }
    Ok(())
}

fn memory(memory: &Memory) -> MemoryResult<()> {
    bounds::check_entity(&memory.entity_id)?;
    bounds::check_content(&memory.content)?;
    bounds::check_importance(memory.importance)?;
    bounds::check_context(memory.context.as_deref())?;
    bounds::check_tags(&memory.tags)?;
    bounds::check_metadata(&memory.metadata)?;
    bounds::check_related(&memory.related)?;
    bounds::check_entities(&memory.entities)?;
    bounds::check_timestamp(memory.timestamp)?;
    memory
        .last_accessed
        .map_or(Ok(()), bounds::check_timestamp)?;
    if !memory.decay_rate.is_finite() {
        let message = format!(
            "decay rate is {}; it must be a finite number",
            memory.decay_rate
        );
        return Err(MemoryError::store(
            ErrorKind::InvalidInput,
            "insert",
            message,
        ));
    }
    Ok(())
}

/// A patch and its embedding, which comes exactly with new content.
pub(crate) fn patch(patch: &MemoryPatch, embedding: Option<&Embedding>) -> MemoryResult<()> {
    patch.validate()?;
    match (&patch.content, embedding) {
        (None, None) => Ok(()),
        (Some(_), Some(embedding)) => {
            embedding.validate()?;
            let (expected, found) = (bounds::MAX_DIMENSIONS, embedding.dimensions());
            if found > expected {
                return Err(InvalidInput::VectorDimensions { expected, found }.into());
            }
            Ok(())
        }
        (Some(_), None) => Err(InvalidInput::NoVector.into()),
        (None, Some(_)) => Err(MemoryError::store(
            ErrorKind::InvalidInput,
            "update",
            "an embedding came without new content; it must come with it",
        )),
    }
}

/// The times of touches.
pub(crate) fn touches(touches: &[Touch]) -> MemoryResult<()> {
    for (index, touch) in touches.iter().enumerate() {
        bounds::check_timestamp(touch.last_accessed)
            .map_err(|problem| MemoryError::from(problem).at_item(index))?;
    }
    Ok(())
}
