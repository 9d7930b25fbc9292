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
mod tests;
