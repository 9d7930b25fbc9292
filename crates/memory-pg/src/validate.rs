//! Checks before any work, of what a caller may have made by hand.

use memory_core::{
    Embedding, InvalidInput, Memory, MemoryError, MemoryPatch, MemoryResult, PreparedMemory, bounds,
};

/// Holds every memory and every vector of a batch to its bounds.
pub(crate) fn batch(batch: &[PreparedMemory], max_dimensions: usize) -> MemoryResult<()> {
    PreparedMemory::validate_batch(batch, max_dimensions)?;
    for (index, item) in batch.iter().enumerate() {
        memory(&item.memory).map_err(|problem| MemoryError::from(problem).at_item(index))?;
    }
    Ok(())
}

/// Holds a patch to its bounds: an embedding comes exactly with new content.
pub(crate) fn patch(
    patch: &MemoryPatch,
    embedding: Option<&Embedding>,
    max_dimensions: usize,
) -> MemoryResult<()> {
    patch.validate()?;
    match (&patch.content, embedding) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(InvalidInput::NoVector.into()),
        (None, Some(_)) => Err(MemoryError::configuration(
            "an embedding was given with a patch that leaves the content as it is",
        )),
        (Some(_), Some(embedding)) => {
            embedding.validate()?;
            let found = embedding.dimensions();
            if found <= max_dimensions {
                return Ok(());
            }
            let expected = max_dimensions;
            Err(InvalidInput::VectorDimensions { expected, found }.into())
        }
    }
}

fn memory(memory: &Memory) -> Result<(), InvalidInput> {
    bounds::check_entity(&memory.entity_id)?;
    bounds::check_content(&memory.content)?;
    bounds::check_importance(memory.importance)?;
    bounds::check_timestamp(memory.timestamp)?;
    bounds::check_context(memory.context.as_deref())?;
    bounds::check_tags(&memory.tags)?;
    bounds::check_metadata(&memory.metadata)?;
    bounds::check_related(&memory.related)?;
    bounds::check_entities(&memory.entities)
}
