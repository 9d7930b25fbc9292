//! Cutting a call into jobs of like length.

use std::cmp::Reverse;

/// Most texts of a job.
const MAX_TEXTS: usize = 32;
/// Most bytes of a job, unless one text alone has more: about a thousand
/// tokens of English, which take a fifth of a second on two cores. So long does
/// a query wait behind an import.
const MAX_BYTES: usize = 4 * 1024;

/// Cuts texts into jobs of their indices, the longest texts first.
///
/// Bytes stand for tokens, which are not known yet: sorted by them over the
/// whole call, texts of one job need little padding.
pub(crate) fn cut(texts: &[&str]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|index| Reverse(texts[*index].len()));
    let mut jobs: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for index in order {
        let length = texts[index].len();
        match jobs.last_mut() {
            Some(job) if job.len() < MAX_TEXTS && bytes + length <= MAX_BYTES => {
                job.push(index);
                bytes += length;
            }
            _ => {
                jobs.push(vec![index]);
                bytes = length;
            }
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_hold_every_text_once_within_their_bounds() {
        let (long, huge) = ("x".repeat(MAX_BYTES / 3), "y".repeat(MAX_BYTES + 1));
        let mut texts = vec!["short"; MAX_TEXTS + 1];
        texts.extend([long.as_str(); 4]);
        texts.push(&huge);
        let jobs = cut(&texts);
        let sizes: Vec<usize> = jobs.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 3, MAX_TEXTS, 2]);
        let mut seen = jobs.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..texts.len()).collect::<Vec<_>>());
        assert!(cut(&[]).is_empty());
    }
}
