//! The parts that words play in date expressions, and the table of a language.

/// What is known of one language.
pub(super) struct Language {
    /// Words in lower case and the part they play, sorted by the word. A word
    /// that is not listed plays none.
    pub(super) words: &'static [(&'static str, Word)],
    /// Endings that make a number an ordinal when they follow it directly.
    pub(super) ordinal_suffixes: &'static [&'static str],
    /// Whether a point makes a number an ordinal: "7. Mai".
    pub(super) has_ordinal_point: bool,
    /// Whether "before two weeks" means two weeks ago.
    pub(super) before_means_ago: bool,
    /// Whether the word for "when" also joins clauses, so that it asks for a
    /// date only in certain places.
    pub(super) when_is_conjunction: bool,
    /// Whether nouns are compounded with spaces, so that "summer camp" and
    /// "Christmas tree" begin with words that are no dates.
    pub(super) has_open_compounds: bool,
}

impl Language {
    /// The part that a word in lower case plays.
    pub(super) fn word(&self, lowercase: &str) -> Word {
        self.words
            .binary_search_by_key(&lowercase, |(word, _)| word)
            .map_or(Word::Other, |index| self.words[index].1)
    }
}

/// The part that a word plays in a date expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A month, 1 to 12.
    Month(u32, Certainty),
    /// A day of the week, 0 for Monday.
    Weekday(u32),
    /// A season, by its first month.
    Season(u32, Certainty),
    /// A holiday on the same month and day every year.
    Holiday(u32, u32),
    /// A day this far from today.
    DayOffset(i64),
    /// A unit of time.
    Unit(Unit),
    /// A part of the day: "last night", "this morning".
    PartOfDay,
    /// "last", "this", "next".
    Which(Which),
    /// A cardinal number, articles included.
    Number(u32),
    /// "couple" and the like: a number that "of" may follow.
    NumberOf(u32),
    /// An ordinal number.
    Ordinal(u32),
    /// Behind a duration: "two weeks ago".
    Ago,
    /// A preposition that makes what follows a time: "in", "during".
    In,
    /// "early", "mid" and the like: makes what follows a time, of which it is a part.
    PartOf,
    /// "end" or "beginning", of which "of" makes the same.
    Edge,
    /// "since".
    Since,
    /// "by".
    By,
    /// "prior", before "to".
    Prior,
    /// "up", before "to".
    Up,
    /// "not".
    Not,
    /// A preposition of days: "on".
    On,
    /// "of".
    Of,
    /// A definite article.
    The,
    /// "before".
    Before,
    /// "after".
    After,
    /// "following": "after", but what comes next where it is behind an article.
    Following,
    /// "from" or "between": begins a range.
    From,
    /// "to": continues a range.
    To,
    /// "until": continues a range, and makes what follows a time.
    Until,
    /// "through": continues a range, and is "during" otherwise.
    Through,
    /// "and" or "or".
    And,
    /// "every": what follows recurs, and is no date.
    Every,
    /// A unit of something else than time: "2000 miles" is no year.
    Measure,
    /// Asks for a date: "when".
    When,
    /// Asks for one of several: "which".
    Interrogative,
    /// "date".
    DateNoun,
    /// "long", in "how long ago".
    Long,
    /// An auxiliary that begins a question: "when did".
    Auxiliary,
    /// A word of knowing or telling: "tell me when".
    Knowing,
    /// A word between such a word and "when".
    Pronoun,
    /// Any other word.
    Other,
}

impl Word {
    /// Whether it makes what follows a time, whatever that is.
    pub(super) fn is_in(self) -> bool {
        matches!(self, Self::In | Self::PartOf | Self::Since | Self::By)
    }

    /// Whether what is meant is later than what follows it.
    pub(super) fn is_after(self) -> bool {
        matches!(self, Self::After | Self::Following)
    }

    /// Whether it continues a range to the date that follows.
    pub(super) fn continues_range(self) -> bool {
        matches!(self, Self::To | Self::Until | Self::Through)
    }

    /// Whether it makes what follows a time, or the end of one.
    pub(super) fn is_preposition_of_time(self) -> bool {
        let is_bound = matches!(self, Self::Until | Self::Through | Self::Before);
        self.is_in() || is_bound || self.is_after()
    }
}

/// Whether a word is a date wherever it occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// It is.
    Certain,
    /// It is also a name or a common word, or part of compounds, and needs a
    /// preposition or a number next to it.
    Ambiguous,
    /// It is also a common word, and needs more where it is in lower case.
    Weak,
    /// It is an abbreviation, and needs "in" or a number next to it.
    Abbreviation,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Hour,
    Day,
    Week,
    Weekend,
    Month,
    Year,
}

/// Which of several periods, relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Last,
    This,
    Next,
}
