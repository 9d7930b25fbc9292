//! Metadata that is too large for a memory: a long heading must not lose its text.

use std::collections::{BTreeMap, BTreeSet};

use memory::limits::MAX_METADATA_BYTES;
use uuid::Uuid;

use crate::report::ImportReport;

/// The size to which metadata that is too large is cut off; some bytes remain for the
/// number of a part, which is added later, and for a digest.
const METADATA_BYTES: usize = MAX_METADATA_BYTES - 128;

/// The longest key of metadata that is too large, in bytes.
const MAX_METADATA_KEY_BYTES: usize = 1_024;

/// What every memory has.
const OWN_METADATA: [&str; 2] = ["source", "source_id"];

/// Metadata that are ids: when they are cut off, their end is replaced by a digest.
const ID_METADATA: [&str; 2] = ["source_id", "conversation_id"];

/// The longest value that many memories of one text have in common, in bytes.
const MAX_REPEATED_BYTES: usize = 1_024;

/// Cuts off the `source_id` and long values of the keys that the format itself repeats, and
/// counts them: a text with a long heading above many short ones would become much larger than
/// it is. What the text itself calls so, such as a field of front matter, stays.
pub(crate) fn cut_repeated(
    metadata: &mut BTreeMap<String, String>,
    repeated: &BTreeSet<&'static str>,
    report: &mut ImportReport,
) {
    for key in repeated.iter().copied().chain(["source_id"]) {
        let value = metadata.get_mut(key);
        if let Some(value) = value.filter(|value| value.len() > MAX_REPEATED_BYTES) {
            cut(value, MAX_REPEATED_BYTES, ID_METADATA.contains(&key));
            report.skip("ends of headings and ids beyond 1,024 bytes", 1);
        }
    }
}

/// Cuts off a value at `max` bytes. The end of an id is replaced by a digest, so that it stays
/// distinct.
fn cut(value: &mut String, max: usize, is_id: bool) {
    let digest = match is_id {
        true => format!("…{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, value.as_bytes())),
        false => String::new(),
    };
    let end = value.floor_char_boundary(max.saturating_sub(digest.len()));
    value.truncate(end);
    value.push_str(&digest);
}

/// Makes metadata fit its limit: the longest values are cut off, and counted.
pub(crate) fn fit_metadata(metadata: &mut BTreeMap<String, String>, report: &mut ImportReport) {
    let pairs = metadata.iter();
    let size: usize = pairs.map(|(key, value)| key.len() + value.len()).sum();
    if size <= METADATA_BYTES {
        return;
    }
    let all = metadata.len();
    metadata.retain(|key, _| key.len() <= MAX_METADATA_KEY_BYTES);
    // Keys alone can be too many.
    let mut kept = 0;
    metadata.retain(|key, _| {
        let is_own = OWN_METADATA.contains(&key.as_str());
        kept += key.len();
        is_own || kept <= METADATA_BYTES / 2
    });
    let what = "metadata with keys that are too long";
    report.skip(what, (all - metadata.len()) as u64);
    let keys: usize = metadata.keys().map(String::len).sum();
    let lengths = metadata.values().map(String::len).collect();
    let max = max_value_len(lengths, METADATA_BYTES.saturating_sub(keys));
    for (key, value) in metadata
        .iter_mut()
        .filter(|(key, it)| *key != "source" && it.len() > max)
    {
        cut(value, max, key == "source_id");
        let what = "ends of metadata beyond 65,536 bytes of a memory";
        report.skip(what, 1);
    }
}

/// The length at which values of these lengths are cut off to have at most `max` bytes
/// together, the shorter ones whole.
fn max_value_len(mut lengths: Vec<usize>, mut max: usize) -> usize {
    lengths.sort_unstable();
    for (index, length) in lengths.iter().enumerate() {
        let share = max / (lengths.len() - index);
        if *length > share {
            return share;
        }
        max -= length;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use memory::limits;

    use super::*;

    #[test]
    fn metadata_that_is_too_large_is_cut_off() {
        let fit = |source_id: &str, metadata: &[(String, String)]| {
            let mut fitted: BTreeMap<String, String> = metadata.iter().cloned().collect();
            fitted.insert("source".to_owned(), "markdown".to_owned());
            fitted.insert("source_id".to_owned(), source_id.to_owned());
            let mut report = ImportReport::default();
            let repeated = BTreeSet::from(["heading"]);
            cut_repeated(&mut fitted, &repeated, &mut report);
            fit_metadata(&mut fitted, &mut report);
            // With what is added for a part.
            let mut with_part = fitted.clone();
            with_part.insert("part".to_owned(), "1000 of 1000".to_owned());
            limits::check_metadata(&with_part).unwrap();
            assert_eq!(fitted["source"], "markdown");
            (fitted, report.skipped.values().sum::<u64>())
        };
        let heading = "é".repeat(70_000);
        let field = ("heading".to_owned(), heading.clone());
        let ids = ["one", "two"].map(|end| {
            let source_id = format!("a.md#{heading}{end}");
            let (fitted, cut) = fit(&source_id, std::slice::from_ref(&field));
            assert_eq!(cut, 2);
            for key in ["heading", "source_id"] {
                assert!((1_020..=1_024).contains(&fitted[key].len()), "{key}");
            }
            assert!(fitted["source_id"].starts_with("a.md#é"));
            fitted["source_id"].clone()
        });
        assert_ne!(ids[0], ids[1]);
        // No more is cut off than necessary.
        for (count, bytes) in [(1, 65_500), (2, 40_000), (10, 7_000), (10, 1 << 20)] {
            let value = |n: usize| (format!("k{n}"), "é".repeat(bytes / 2));
            let values: Vec<_> = (0..count).map(value).collect();
            let (kept, cut) = fit("a.md", &values);
            let kept: usize = kept
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum();
            assert!(kept >= MAX_METADATA_BYTES - 1_024, "{count}: {kept}");
            assert_eq!(cut, count as u64);
        }
        let (kept, cut) = fit("a.md", &[("k".to_owned(), "v".repeat(60_000))]);
        assert_eq!((kept["k"].len(), cut), (60_000, 0));
        // Keys that are too long, and too many.
        assert_eq!(fit("a.md", &[(heading, "v".to_owned())]).1, 1);
        for (count, length) in [(1_000, 90), (20_000, 0)] {
            let pair = |n| (format!("{n}{}", "k".repeat(length)), "v".repeat(100));
            let many: Vec<_> = (0..count).map(pair).collect();
            let (kept, cut) = fit("a.md", &many);
            assert!(kept.len() > 100 && cut > 100, "{cut}");
        }
    }
}
