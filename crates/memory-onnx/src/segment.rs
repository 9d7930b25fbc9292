//! Cutting a call into segments, so that an import is many small jobs.

/// Most texts of a segment: sorted among so many, texts of like length come
/// together; and tokenizing them takes no longer than a batch.
const MAX_TEXTS: usize = 512;
/// Most bytes of a segment, unless one text alone has more.
const MAX_BYTES: usize = 256 * 1024;

/// Cuts texts into runs of at most [`MAX_TEXTS`] and about [`MAX_BYTES`].
pub(crate) fn segments<'a, 'b>(mut texts: &'a [&'b str]) -> impl Iterator<Item = &'a [&'b str]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |text: &&&str| {
            bytes += text.len();
            bytes <= MAX_BYTES
        };
        let count = texts.iter().take(MAX_TEXTS).take_while(fits).count();
        let (segment, rest) = texts.split_at(count.max(1).min(texts.len()));
        texts = rest;
        (!segment.is_empty()).then_some(segment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_hold_everything_in_order_within_their_bounds() {
        let (long, huge) = ("x".repeat(MAX_BYTES / 3), "y".repeat(MAX_BYTES + 1));
        let mut texts = vec!["short"; MAX_TEXTS + 1];
        texts.extend([long.as_str(); 5]);
        texts.push(&huge);
        texts.push("last");
        let cut: Vec<&[&str]> = segments(&texts).collect();
        assert_eq!(cut.concat(), texts);
        let sizes: Vec<usize> = cut.iter().map(|segment| segment.len()).collect();
        assert_eq!(sizes, [MAX_TEXTS, 3, 3, 1, 1]);
        assert_eq!(segments(&[]).count(), 0);
    }
}
