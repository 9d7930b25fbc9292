//! What a content states, apart from differences that carry no fact.

use unicode_normalization::UnicodeNormalization;

/// Words at the end of a statement that add nothing to it. The longer text
/// contains the shorter one and becomes the summary.
pub(super) const FILLERS: &[&str] = &["also", "indeed", "too"];

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
    "soon",
    "recently",
    "lately",
    "hours",
    "days",
    "weeks",
    "months",
    "years",
    "nächste",
    "nächsten",
    "nächster",
    "nächstes",
    "letzte",
    "letzten",
    "letzter",
    "letztes",
    "diese",
    "diesen",
    "dieser",
    "dieses",
    "bald",
    "neulich",
    "tagen",
    "wochen",
    "monaten",
    "jahren",
    "stunden",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonnabend",
    "sonntag",
    "prochain",
    "prochaine",
    "dernier",
    "dernière",
    "bientôt",
    "jours",
    "semaines",
    "lundi",
    "mardi",
    "mercredi",
    "jeudi",
    "vendredi",
    "samedi",
    "dimanche",
    "próximo",
    "próxima",
    "pasado",
    "pasada",
    "pronto",
    "días",
    "semanas",
    "lunes",
    "martes",
    "miércoles",
    "jueves",
    "viernes",
    "sábado",
    "domingo",
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
pub(super) struct Statement {
    /// Its words, joined by single spaces, without the filler.
    pub(super) words: String,
    /// The word of [`FILLERS`] that it ends with.
    pub(super) filler: Option<&'static str>,
    /// Whether it contains one of [`RELATIVE_TIMES`].
    pub(super) is_relative_in_time: bool,
}

impl Statement {
    pub(super) fn new(content: &str) -> Self {
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

/// The words of a content: separated by white space, in Unicode normalization
/// form C (form KC would equate `x²` and `x2`), with ASCII quotation marks,
/// without the final period, and with the first letter of sentences in lower
/// case. Other punctuation stays: `-5`, `1,000`, `"yes"`, `?`.
pub(super) fn normalized_words(content: &str) -> Vec<String> {
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
