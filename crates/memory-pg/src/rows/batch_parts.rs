//! Parts of a batch: as many rows as one statement writes.

use memory_core::Embedding;

use crate::search::lexical::IndexedMemory;

/// The server takes no message and no array of 1 GB or more, and has a limit of time for each
/// statement, also where callers give it more at once than that allows.
const MAX_BYTES: usize = 16 << 20;

/// Memories, of which each part is written by one statement for each table.
pub(crate) fn of_memories<'s, 'a>(
    items: &'s [&'a IndexedMemory],
) -> impl Iterator<Item = &'s [&'a IndexedMemory]> {
    parts(items, MAX_BYTES, |it| {
        let item = &it.item;
        item.memory.size_bytes() + it.entry.lexemes.len() + vector_bytes(&item.embedding)
    })
}

/// Embeddings, of which each part is written by one statement.
pub(crate) fn of_embeddings<'s, K>(
    items: &'s [(K, &'s Embedding)],
) -> impl Iterator<Item = &'s [(K, &'s Embedding)]> {
    parts(items, MAX_BYTES, |(_, embedding)| vector_bytes(embedding))
}

fn vector_bytes(embedding: &Embedding) -> usize {
    let vectors = embedding.vectors.iter();
    vectors.map(|it| size_of_val(it.as_slice())).sum()
}

/// Parts of at most so many bytes, or of one item that is larger.
fn parts<T>(
    mut items: &[T],
    max_bytes: usize,
    bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut left = max_bytes;
        let fits = |item: &T| {
            let rest = left.checked_sub(bytes(item));
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        let count = items.iter().map(fits).take_while(|it| *it).count();
        let (part, rest) = items.split_at_checked(count.max(1))?;
        items = rest;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_they_may_be_and_have_every_item() {
        let of = |items: &'static [usize]| parts(items, 10, |it| *it).collect::<Vec<_>>();
        assert_eq!(
            of(&[4, 6, 1, 20, 3, 3]),
            [&[4, 6][..], &[1], &[20], &[3, 3]]
        );
        assert_eq!(of(&[10]), [&[10]]);
        assert!(of(&[]).is_empty());
    }
}
