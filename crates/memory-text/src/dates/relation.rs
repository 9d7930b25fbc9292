//! Which times are meant around a date: "before May", "since last week".

use std::ops::Range;

use super::DateRelation;
use super::parser::{Expression, Parser};
use super::words::{Unit, Word};

/// Maximum number of tokens between "from" and "until" of a range: "from Monday, the 5th of
/// June 2023, until".
const MAX_START_TOKENS: usize = 10;

impl Parser<'_> {
    /// Which times are meant around an expression: the words before it say so. `previous` is
    /// the expression before it.
    ///
    /// A part ("before the end of May", "since early May") has no exact days, and an event
    /// ("after Monday's call", "after the May 5 meeting") happens within its day, so that both
    /// include the whole date.
    pub(super) fn relation(
        &self,
        expression: &Expression,
        previous: Option<&Expression>,
    ) -> DateRelation {
        let tokens = &expression.tokens;
        let mut at = tokens.start;
        let has_article = self.word_before(at) == Some(Word::The);
        let mut includes =
            self.is_possessive(tokens.end) || has_article && self.begins_compound(tokens.end);
        while let Some(before) = self.position_before(at) {
            let is_of_edge = || matches!(self.word_before(before), Some(Word::Edge));
            let Some(word) = self.word_before(at) else {
                break;
            };
            match word {
                Word::The | Word::Unit(Unit::Year) => {}
                Word::PartOf | Word::Edge => includes = true,
                Word::Of if is_of_edge() => {}
                Word::Until if self.ends_range(before, previous) => break,
                // "What was she up to yesterday?"
                Word::To
                    if expression.is_calendar && self.word_before(before) == Some(Word::Up) =>
                {
                    let start = before.saturating_sub(1);
                    return match self.ends_range(start, previous) {
                        true => DateRelation::In,
                        false => self.with_negation(start, DateRelation::Until),
                    };
                }
                // "What happened the following Monday?"
                Word::Following if self.has_determiner(before) => break,
                Word::On | Word::In => return self.relation_of_preposition(before),
                _ => {
                    let Some(relation) = relation_of(word) else {
                        break;
                    };
                    let is_of_start = matches!(relation, DateRelation::Since | DateRelation::After);
                    // "since May 3 until May 7".
                    if is_of_start && self.names_end(tokens) {
                        break;
                    }
                    // "prior to" has two tokens.
                    let is_second = self.word(before) == Some(Word::To);
                    let start = before.saturating_sub(usize::from(is_second));
                    return self.relation_of_bound(start, relation, includes);
                }
            }
            at = before;
        }
        DateRelation::In
    }

    /// The relation that a word at `start` says, with what is before it: "not before", "on or
    /// before", "before and after".
    fn relation_of_bound(
        &self,
        start: usize,
        relation: DateRelation,
        includes: bool,
    ) -> DateRelation {
        let relation = match includes {
            true => with_date(relation),
            false => relation,
        };
        let alternative = self.alternative_before(start);
        match alternative.and_then(relation_of) {
            Some(other) if is_earlier(other) != is_earlier(relation) => DateRelation::In,
            // "since or after".
            Some(other) if other != relation => with_date(relation),
            _ if matches!(alternative, Some(Word::On | Word::In)) => with_date(relation),
            _ => self.with_negation(start, relation),
        }
    }

    /// The relation of "on" at `start`: "before or on May 5".
    fn relation_of_preposition(&self, start: usize) -> DateRelation {
        let other = self.alternative_before(start).and_then(relation_of);
        other.map_or(DateRelation::In, with_date)
    }

    /// The word that "or" joins to the one at `start`.
    fn alternative_before(&self, start: usize) -> Option<Word> {
        let and = self.position_before(start)?;
        match self.word(and) {
            Some(Word::And) => self.word_before(and),
            _ => None,
        }
    }

    /// "not before" is "since". "not since" names no side.
    fn with_negation(&self, start: usize, relation: DateRelation) -> DateRelation {
        match self.word_before(start) {
            Some(Word::Not) => match relation {
                DateRelation::Before | DateRelation::Until => DateRelation::Since,
                DateRelation::After => DateRelation::Until,
                DateRelation::Since | DateRelation::In => DateRelation::In,
            },
            _ => relation,
        }
    }

    /// Whether "until" at a token ends a range whose beginning is named before it: then what
    /// is earlier than that is not meant. The two may be no range of days: a weekday is the
    /// latest one, which can be before the beginning, and after "from" it is no date.
    fn ends_range(&self, until: usize, previous: Option<&Expression>) -> bool {
        if previous.is_some_and(|previous| previous.tokens.end == until) {
            return true;
        }
        let first = until.saturating_sub(MAX_START_TOKENS);
        let from = (first..until)
            .rev()
            .take_while(|at| !matches!(self.mark(*at), Some('.' | '?' | '!' | ';' | ':')))
            .find(|at| self.word(*at) == Some(Word::From));
        from.is_some_and(|from| {
            let start = self.skip(from + 1, |word| matches!(word, Word::The));
            let names_time = matches!(
                self.word(start),
                Some(
                    Word::Weekday(_)
                        | Word::Month(..)
                        | Word::Season(..)
                        | Word::Holiday(..)
                        | Word::DayOffset(_)
                        | Word::PartOf
                        | Word::PartOfDay
                        | Word::Which(_)
                        | Word::Ordinal(_)
                )
            );
            names_time || self.begins_date(start)
        })
    }

    /// Whether an expression names the end of a range with a word, as "May 3 until May 7" does.
    fn names_end(&self, expression: &Range<usize>) -> bool {
        let mut words = expression.clone().filter_map(|at| self.word(at));
        words.any(Word::continues_range)
    }

    /// Whether an article or the like is before a token.
    fn has_determiner(&self, at: usize) -> bool {
        let before = self.word_before(at);
        matches!(before, Some(Word::The | Word::Number(1) | Word::Which(_)))
    }
}

/// What a word before a date says of the times around it.
fn relation_of(word: Word) -> Option<DateRelation> {
    match word {
        Word::Before => Some(DateRelation::Before),
        Word::Until | Word::By => Some(DateRelation::Until),
        Word::After | Word::Following => Some(DateRelation::After),
        Word::Since => Some(DateRelation::Since),
        _ => None,
    }
}

fn is_earlier(relation: DateRelation) -> bool {
    matches!(relation, DateRelation::Before | DateRelation::Until)
}

/// The same relation with the days that are named.
fn with_date(relation: DateRelation) -> DateRelation {
    match relation {
        DateRelation::Before => DateRelation::Until,
        DateRelation::After => DateRelation::Since,
        other => other,
    }
}
