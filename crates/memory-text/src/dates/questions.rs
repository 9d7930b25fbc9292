//! Questions that ask for a date, and texts that tell one.

use super::parser::Parser;
use super::words::{Certainty, Unit, Word};

impl Parser<'_> {
    /// See [`asks_when`](super::asks_when).
    pub(super) fn asks_when(&self) -> bool {
        (0..self.tokens.len()).any(|at| match self.word(at) {
            Some(Word::When) => self.is_question_word(at),
            Some(Word::Interrogative) => self.asks_for_unit(at + 1),
            Some(Word::Long) => self.word(at + 1) == Some(Word::Ago),
            _ => false,
        })
    }

    /// Whether "when" asks, rather than joins two clauses: before an
    /// auxiliary or a preposition, after a word of knowing, or at the end.
    fn is_question_word(&self, at: usize) -> bool {
        if !self.language.when_is_conjunction {
            return true;
        }
        let asks_next = match self.word(at + 1) {
            Some(Word::Auxiliary | Word::On) => true,
            Some(word) => word.is_in(),
            None => self.tokens.len() <= at + 2,
        };
        if at == 0 && self.is_one_clause() {
            return true;
        }
        let knowing_at = match at.checked_sub(1) {
            Some(before) if self.word(before) == Some(Word::Pronoun) => before.checked_sub(1),
            before => before,
        };
        asks_next || knowing_at.is_some_and(|at| self.word(at) == Some(Word::Knowing))
    }

    /// Whether nothing separates the text into clauses or asks for something
    /// else: "When Tam lost his job?".
    fn is_one_clause(&self) -> bool {
        let separates =
            |at: usize| self.mark(at) == Some(',') || self.word(at) == Some(Word::Interrogative);
        !(0..self.tokens.len()).any(separates)
    }

    /// "which month", "what is the date", "what was the exact date".
    fn asks_for_unit(&self, at: usize) -> bool {
        const REACH: usize = 3;
        if matches!(
            self.word(at),
            Some(Word::Unit(
                Unit::Day | Unit::Week | Unit::Weekend | Unit::Month | Unit::Year
            ))
        ) || matches!(self.word(at), Some(Word::Season(..)))
        {
            return true;
        }
        (at..=at + REACH)
            .take_while(|at| self.mark(*at).is_none())
            .any(|at| self.word(at) == Some(Word::DateNoun))
    }

    /// See [`has_time_word`](super::has_time_word).
    pub(super) fn has_time_word(&self) -> bool {
        (0..self.tokens.len()).any(|at| self.is_time_word(at) || self.begins_date(at))
    }

    fn is_time_word(&self, at: usize) -> bool {
        match self.word(at) {
            Some(Word::DayOffset(_) | Word::Weekday(_) | Word::Ago) => true,
            Some(Word::Month(_, Certainty::Certain)) => true,
            Some(Word::Unit(Unit::Weekend)) => true,
            Some(Word::Which(_)) => matches!(
                self.word(at + 1),
                Some(Word::Unit(_) | Word::PartOfDay | Word::Weekday(_) | Word::Season(..))
            ),
            _ => false,
        }
    }
}
