//! Grouping of memories that state the same, without a language model.
//!
//! Two memories state the same only if nothing that could carry a fact differs:
//! the same words in the same order, numbers, signs, names, negation, question
//! marks, quotes and symbols included, and the same kind, episode, participants
//! and metadata. Everything else stays live. What may differ is white space, the
//! final period or exclamation mark, the shape of quotation marks, the case of
//! a sentence's first letter, and one [filler word](FILLERS) at the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use memory_core::{EntityId, Memory, MemoryFilter, MemoryId, MemoryKind};
use unicode_normalization::UnicodeNormalization;

use super::cluster::{MAX_SOURCES, is_groupable};
use super::summary::{Group, METADATA_PREFIX};

/// Words at the end of a statement that add nothing to it. The longer text
/// contains the shorter one and becomes the summary.
const FILLERS: &[&str] = &["also", "indeed", "too"];

/// Words that negate, doubt or restrict, lowercase and without apostrophes:
/// within their scope even a filler word can change what is stated.
const NEGATIONS: &[&str] = &[
    "aint", "arent", "cannot", "cant", "couldnt", "deny", "didnt", "doesnt", "dont", "doubt",
    "doubts", "false", "hadnt", "hardly", "hasnt", "havent", "isnt", "mustnt", "neither", "never",
    "no", "nt", "nobody", "none", "nor", "not", "nothing", "nowhere", "rarely", "refused",
    "scarcely", "seldom", "shouldnt", "untrue", "wasnt", "werent", "without", "wont", "wouldnt",
    "wrong",
];

/// Words whose meaning depends on the day they were written. Statements with one
/// of them are the same only on the same day (UTC).
const RELATIVE_TIMES: &[&str] = &[
    "today",
    "tonight",
    "tomorrow",
    "yesterday",
    "now",
    "currently",
    "ago",
    "next",
    "last",
    "this",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "heute",
    "gestern",
    "morgen",
    "jetzt",
    "aujourd'hui",
    "hier",
    "demain",
    "maintenant",
    "hoy",
    "ayer",
    "mañana",
    "ahora",
    "oggi",
    "ieri",
    "domani",
    "adesso",
    "hoje",
    "ontem",
    "amanhã",
    "agora",
    "vandaag",
    "gisteren",
    "nu",
    "сегодня",
    "вчера",
    "завтра",
    "сейчас",
    "اليوم",
    "أمس",
    "غدا",
    "היום",
    "אתמול",
    "מחר",
    "आज",
    "कल",
];

/// As [`RELATIVE_TIMES`], in scripts without spaces or with suffixes: looked
/// for anywhere in the text.
const RELATIVE_TIME_PARTS: &[&str] = &[
    "今天",
    "昨天",
    "明天",
    "现在",
    "今日",
    "昨日",
    "明日",
    "今晚",
    "昨晚",
    "刚才",
    "きのう",
    "きょう",
    "あした",
    "오늘",
    "어제",
    "내일",
    "지금",
    "วันนี้",
    "เมื่อวาน",
    "พรุ่งนี้",
    "ตอนนี้",
];

/// What a content states, with the differences removed that carry no fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Statement {
    /// Its words, joined by single spaces, without the filler.
    words: String,
    /// The word of [`FILLERS`] that it ends with.
    filler: Option<&'static str>,
    /// Whether it contains one of [`RELATIVE_TIMES`].
    is_relative_in_time: bool,
}

impl Statement {
    fn new(content: &str) -> Self {
        let mut words = normalized_words(content);
        let is_negated = words.iter().any(|word| is_negation(word));
        let filler = words.split_last().and_then(|(last, rest)| {
            let filler = FILLERS.iter().find(|filler| *filler == last)?;
            (!rest.is_empty() && !is_negated).then_some(*filler)
        });
        if filler.is_some() {
            words.pop();
        }
        let is_relative_in_time = words.iter().any(|word| is_relative_time(word));
        Self {
            words: words.join(" "),
            filler,
            is_relative_in_time,
        }
    }
}

/// Everything in which memories of one group must be equal.
#[derive(PartialEq, Eq, Hash)]
struct GroupKey<'a> {
    kind: MemoryKind,
    words: String,
    day: Option<NaiveDate>,
    context: Option<&'a str>,
    entities: &'a BTreeMap<EntityId, String>,
    metadata: Vec<(&'a str, &'a str)>,
}

impl<'a> GroupKey<'a> {
    fn new(memory: &'a Memory, statement: Statement) -> Self {
        let metadata = memory.metadata.iter();
        Self {
            kind: memory.kind,
            words: statement.words,
            day: statement
                .is_relative_in_time
                .then(|| memory.timestamp.date_naive()),
            context: memory.context.as_deref(),
            entities: &memory.entities,
            metadata: metadata
                .filter(|(key, _)| !key.starts_with(METADATA_PREFIX))
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
        }
    }
}

/// Groups of at least `min_size` memories that state the same, each group
/// oldest first and with the content of its summary. O(memories).
pub(crate) fn group_equal_statements(
    memories: Vec<Arc<Memory>>,
    filter: &MemoryFilter,
    min_size: usize,
) -> Vec<Group> {
    let mut memories: Vec<Arc<Memory>> = memories
        .into_iter()
        .filter(|memory| is_groupable(memory, filter))
        .collect();
    memories.sort_by_key(|memory| (memory.timestamp, memory.id));
    let mut by_key: HashMap<GroupKey<'_>, BTreeMap<Option<&str>, Vec<&Arc<Memory>>>> =
        HashMap::new();
    for memory in &memories {
        let statement = Statement::new(&memory.content);
        let filler = statement.filler;
        let variants = by_key.entry(GroupKey::new(memory, statement)).or_default();
        variants.entry(filler).or_default().push(memory);
    }
    let mut groups: Vec<Group> = Vec::new();
    for mut variants in by_key.into_values() {
        // The plain variant joins the first one with a filler, which contains it.
        let plain = variants.remove(&None).unwrap_or_default();
        let mut sets: Vec<Vec<&Arc<Memory>>> = variants.into_values().collect();
        match sets.first_mut() {
            Some(first) => first.extend(plain),
            None => sets.push(plain),
        }
        for mut set in sets {
            set.sort_by_key(|memory| (memory.timestamp, memory.id));
            let chunks = set.chunks(MAX_SOURCES);
            groups.extend(
                chunks
                    .filter(|chunk| chunk.len() >= min_size)
                    .map(group_of_equals),
            );
        }
    }
    groups.sort_by_key(first_source);
    groups
}

fn first_source(group: &Group) -> Option<(chrono::DateTime<chrono::Utc>, MemoryId)> {
    let first = group.sources.first()?;
    Some((first.timestamp, first.id))
}

/// The summary of equal statements is the latest of the longest variant,
/// verbatim.
fn group_of_equals(sources: &[&Arc<Memory>]) -> Group {
    let content = sources
        .iter()
        .max_by_key(|memory| {
            let has_filler = Statement::new(&memory.content).filler.is_some();
            (has_filler, memory.timestamp, memory.id)
        })
        .map(|memory| memory.content.clone());
    Group {
        sources: sources.iter().map(|memory| Arc::clone(memory)).collect(),
        content,
    }
}

/// The content that stands for all of these memories, where they state the
/// same.
pub(super) fn common_content(memories: &[Arc<Memory>]) -> Option<String> {
    let all = group_equal_statements(memories.to_vec(), &MemoryFilter::new(), memories.len());
    all.into_iter().next()?.content
}

/// The words of a content: separated by white space, in Unicode normalization
/// form C (form KC would equate `x²` and `x2`), with ASCII quotation marks,
/// without the final period, and with the first letter of sentences in lower
/// case. Other punctuation stays: `-5`, `1,000`, `"yes"`, `?`.
fn normalized_words(content: &str) -> Vec<String> {
    let text: String = content
        .nfc()
        .map(|c| match c {
            '‘' | '’' => '\'',
            '“' | '”' => '"',
            c => c,
        })
        .collect();
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if let Some(last) = words.last_mut() {
        remove_final_mark(last);
    }
    // A text of a single word may be a password or another identifier.
    if words.len() > 1 {
        let mut is_first = true;
        for word in &mut words {
            let ends_sentence = word.ends_with(['.', '!', '?', '…']);
            if is_first {
                lower_first_letter(word);
            }
            is_first = ends_sentence;
        }
    }
    words
}

/// Removes a single period or exclamation mark after a letter, digit or closing
/// mark. After a digit an exclamation mark may be a factorial.
fn remove_final_mark(word: &mut String) {
    let mut reversed = word.chars().rev();
    let (Some(mark), Some(before)) = (reversed.next(), reversed.next()) else {
        return;
    };
    let is_removable = match mark {
        '.' | '。' | '।' => before.is_alphanumeric() || matches!(before, '"' | '\'' | ')' | ']'),
        '!' | '！' => before.is_alphabetic(),
        // The marks of scripts that combine, as in Thai or Hindi.
        _ => false,
    };
    if is_removable {
        word.truncate(word.len() - mark.len_utf8());
    }
}

/// Lowers the first letter of a word that is capitalized like any first word of
/// a sentence, and not an identifier such as `LH123`, `README` or `camelCase`.
fn lower_first_letter(word: &mut String) {
    let mut chars = word.chars();
    let Some(first) = chars.next() else { return };
    let rest = chars.as_str();
    let is_plain = rest
        .chars()
        .all(|c| c.is_lowercase() || matches!(c, ',' | '.' | ';' | ':' | '!' | '?' | '\''));
    if first.is_uppercase() && is_plain && !rest.is_empty() {
        *word = first.to_lowercase().chain(rest.chars()).collect();
    }
}

/// The letters of a word, lowercase, for looking it up in a list.
fn letters(word: &str) -> String {
    let letters = word.chars().filter(|c| c.is_alphabetic());
    letters.flat_map(char::to_lowercase).collect()
}

pub(super) fn is_negation(word: &str) -> bool {
    let letters = letters(word);
    NEGATIONS.contains(&letters.as_str())
}

fn is_relative_time(word: &str) -> bool {
    let trimmed = word
        .trim_matches(|c: char| !c.is_alphabetic())
        .to_lowercase();
    let stem = trimmed.strip_suffix("'s").unwrap_or(&trimmed);
    RELATIVE_TIMES.contains(&stem) || RELATIVE_TIME_PARTS.iter().any(|part| word.contains(part))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use memory_core::MemoryBatchItem;
    use proptest::prelude::*;

    use super::*;
    use crate::consolidation::facts::facts_of;

    fn memory(day: i64, content: &str) -> Arc<Memory> {
        edited(day, content, |item| item)
    }

    fn edited(
        day: i64,
        content: &str,
        edit: impl Fn(MemoryBatchItem) -> MemoryBatchItem,
    ) -> Arc<Memory> {
        let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(day);
        let item = MemoryBatchItem::new("mira", MemoryKind::Experience, content).with_timestamp(at);
        Arc::new(edit(item).into_memory(at).unwrap())
    }

    fn groups(memories: Vec<Arc<Memory>>) -> Vec<Group> {
        group_equal_statements(memories, &MemoryFilter::new(), 2)
    }

    fn are_grouped(a: &str, b: &str) -> bool {
        let forward = groups(vec![memory(1, a), memory(2, b)]);
        let backward = groups(vec![memory(1, b), memory(2, a)]);
        assert_eq!(forward.len(), backward.len(), "{a:?} {b:?}");
        !forward.is_empty()
    }

    #[test]
    fn insignificant_differences_are_ignored() {
        for (a, b) in [
            ("The rent is 500 euros.", "the rent is  500 euros"),
            ("The rent is 500 euros.", "The rent is 500 euros!"),
            ("He said “no”.", "He said \"no\"."),
            ("Tam’s horse is lame", "Tam's horse is lame"),
            ("caf\u{e9} Central is open", "cafe\u{301} Central is open"),
            ("Bread is dear. Milk is not.", "bread is dear.\nmilk is not"),
            ("我喜欢喝咖啡", "我喜欢喝咖啡。"),
            ("🐎", "🐎"),
        ] {
            assert!(are_grouped(a, b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn statements_that_differ_in_a_fact_are_not_grouped() {
        for (a, b) in [
            ("The rent is 500 euros.", "The rent is 900 euros."),
            ("It is 5 degrees", "It is -5 degrees"),
            ("It is 5 degrees", "It is 5. degrees"),
            ("The price is 1,000", "The price is 1.000"),
            ("The price is 1,000", "The price is 1000"),
            ("It is 1.5 m long", "It is 1.5 km long"),
            ("The load is 3 mW", "The load is 3 MW"),
            ("release v1.2.3 shipped", "release v1.3.2 shipped"),
            ("Anna is allergic to nuts.", "Anna is not allergic to nuts."),
            ("Anna is allergic", "Anna isn't allergic"),
            ("I smoke", "I never smoke"),
            ("Alice paid Bob 10 euros.", "Bob paid Alice 10 euros."),
            ("Anna is here.", "Anna is here?"),
            ("Anna is here", "Is Anna here"),
            ("He said yes", "He said \"yes\""),
            ("Eat, grandma", "Eat grandma"),
            ("It is raining", "It might be raining"),
            ("The mill burned", "It is false that the mill burned"),
            ("The mill burned", "The mill burned. That is a lie."),
            ("He came", "He came, they say"),
            ("The shop is open", "The shop is open today"),
            ("Anna never came", "Anna never came too"),
            ("the password is Secret", "the password is secret"),
            ("the password is aB3x", "the password is Ab3x"),
            ("Secret", "secret"),
            ("use camelCase here", "use camelcase here"),
            ("server 10.0.0.1 is up", "server 10.0.0.2 is up"),
            ("Call +49 30 1234567.", "Call +49 30 1234568."),
            ("x² is large", "x2 is large"),
            ("The answer is 5!", "The answer is 5"),
            ("我喜欢喝咖啡", "我讨厌喝咖啡"),
            ("我喜欢喝咖啡", "我不喜欢喝咖啡"),
            ("แมวนอนบนเตียง", "ฝนตกหนักเมื่อวาน"),
            ("🐎", "🔥"),
            ("✅ done", "❌ done"),
            ("Er kommt", "Er kommt nicht"),
            ("Wait", "Wait…"),
        ] {
            assert!(!are_grouped(a, b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn everything_around_the_content_must_be_equal_too() {
        type Edit = fn(MemoryBatchItem) -> MemoryBatchItem;
        let edits: [Edit; 4] = [
            |item| item.with_metadata("server", "b"),
            |item| item.with_context("another session"),
            |item| item.with_entity("tam", "seller"),
            |mut item| {
                item.kind = MemoryKind::Observation;
                item
            },
        ];
        for edit in edits {
            let pair = vec![memory(1, "It works"), edited(2, "It works", edit)];
            assert!(groups(pair).is_empty());
        }
        let opinions = |mut item: MemoryBatchItem| {
            item.kind = MemoryKind::Opinion;
            item
        };
        let pair = (1..3).map(|day| edited(day, "It works", opinions));
        assert!(groups(pair.collect()).is_empty());
    }

    #[test]
    fn relative_times_are_grouped_within_a_day_only() {
        for text in [
            "The shop is closed today",
            "昨天来过",
            "The shop is closed this week",
        ] {
            assert!(groups(vec![memory(1, text), memory(2, text)]).is_empty());
            assert_eq!(groups(vec![memory(1, text), memory(1, text)]).len(), 1);
        }
    }

    #[test]
    fn the_longer_statement_becomes_the_summary() {
        let memories = vec![
            memory(3, "the mill burned"),
            memory(1, "The mill burned indeed."),
            memory(2, "The mill burned, too"),
            memory(4, "The mill burned too"),
        ];
        let groups = groups(memories);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].sources.len(), 2);
        assert_eq!(
            groups[0].content.as_deref(),
            Some("The mill burned indeed.")
        );
    }

    #[test]
    fn a_large_group_is_split() {
        let same = (0..MAX_SOURCES * 2 + 1).map(|_| memory(1, "The mill burned"));
        let sizes: Vec<usize> = groups(same.collect())
            .iter()
            .map(|group| group.sources.len())
            .collect();
        assert_eq!(sizes, [MAX_SOURCES, MAX_SOURCES]);
    }

    /// Texts from few parts, so that many of them are nearly equal.
    fn text() -> impl Strategy<Value = String> {
        let subjects = ["Alice", "Bob", "alice", "The server", "服务器", "🐎"];
        let negations = ["", "", "not ", "never ", "n't ", "不"];
        let verbs = ["paid", "paid 5 to", "paid -5 to", "moved to v1.2.3", "runs"];
        let objects = [
            "Bob",
            "Alice",
            "port 22",
            "port 49222",
            "LH123",
            "today",
            "",
        ];
        let ends = ["", ".", "!", "?", "...", " indeed", " too.", " 5", "。"];
        (
            prop::sample::select(subjects.to_vec()),
            prop::sample::select(negations.to_vec()),
            prop::sample::select(verbs.to_vec()),
            prop::sample::select(objects.to_vec()),
            prop::sample::select(ends.to_vec()),
        )
            .prop_map(|(subject, negation, verb, object, end)| {
                format!("{subject} {negation}{verb} {object}{end}")
            })
    }

    proptest! {
        #[test]
        fn every_fact_of_a_source_is_in_its_summary(
            texts in prop::collection::vec((text(), 0i64..3), 2..60),
        ) {
            let memories = texts.iter().map(|(text, day)| memory(*day, text)).collect();
            for group in groups(memories) {
                let content = group.content.unwrap();
                for source in &group.sources {
                    let (of_source, of_summary) = (facts_of(&source.content), facts_of(&content));
                    prop_assert_eq!(&of_source, &of_summary, "{} / {}", source.content, content);
                    let order = |text: &str| {
                        normalized_words(text).into_iter().filter(|word| !FILLERS.contains(&word.as_str())).collect::<Vec<_>>()
                    };
                    prop_assert_eq!(order(&source.content), order(&content));
                }
            }
        }
    }
}
