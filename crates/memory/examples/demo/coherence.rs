//! Check that warm caches never show altered or deleted memories.

use memory::{MemoryPatch, MemorySystem};

use crate::questions::{CELLAR, excerpt};
use crate::{Demo, MIRA, ensure, heading};

const NEW_WORD: &str = "'kingfisher'";

/// Alters a memory and asks again; deletes it and asks again.
pub(crate) async fn show(memory: &MemorySystem) -> Demo {
    heading("Asked again after a change");
    let found = memory.recall(MIRA, CELLAR.request()).await?;
    let id = CELLAR.expected(&found)?.memory.id;

    let content = format!("The cellar door has a new word once more: it is {NEW_WORD} now.");
    memory
        .alter_memory(MIRA, id, MemoryPatch::new().content(content))
        .await?;
    let found = memory.recall(MIRA, CELLAR.request()).await?;
    let altered = &CELLAR.expected(&found)?.memory.content;
    ensure(altered.contains(NEW_WORD), || {
        "a recall showed content that had been altered".into()
    })?;
    println!("altered  {}", excerpt(altered, NEW_WORD));

    memory.delete_memory(MIRA, id).await?;
    let found = memory.recall(MIRA, CELLAR.request()).await?;
    ensure(
        found.iter().all(|recalled| recalled.memory.id != id),
        || "a recall showed a memory that had been deleted".into(),
    )?;
    match memory.get_memory(MIRA, id).await {
        Err(error) if error.kind() == memory::ErrorKind::NotFound => {
            println!("deleted  no longer among the answers, and get_memory says:");
            println!("         {error}");
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err("a deleted memory could still be read".into()),
    }
}
