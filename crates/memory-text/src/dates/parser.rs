//! Finding date expressions: goes through the tokens of a text and reads, at
//! each, the longest expression that begins there.

use std::ops::Range;

use chrono::NaiveDate;

use super::languages::LANGUAGES;
use super::tokens::{Token, TokenKind, tokenize};
use super::words::{Language, Word};
use super::{DatePrecision, DateRelation, MonthDay, NamedDate, Period, sequence};

/// The tokens of a text in one language, and the day that relative expressions
/// refer to.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) language: &'static Language,
    pub(super) today: NaiveDate,
    pub(super) tokens: Vec<Token>,
}

/// A date expression.
pub(super) struct Expression {
    /// Where it is, in tokens.
    pub(super) tokens: Range<usize>,
    /// What it may mean.
    pub(super) readings: Vec<Reading>,
    /// Whether it is of the calendar ("May 7"), and not relative to now.
    pub(super) is_calendar: bool,
}

/// One meaning of a date expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) precision: DatePrecision,
    pub(super) period: Period,
}

impl Reading {
    pub(super) fn once(precision: DatePrecision, first: NaiveDate, last: NaiveDate) -> Self {
        Self {
            precision,
            period: Period::Once { first, last },
        }
    }

    pub(super) fn day(day: NaiveDate) -> Self {
        Self::once(DatePrecision::Day, day, day)
    }

    pub(super) fn yearly(precision: DatePrecision, first: MonthDay, last: MonthDay) -> Self {
        Self {
            precision,
            period: Period::Yearly { first, last },
        }
    }

    /// This reading in one year; `None` where it has no such day then.
    pub(super) fn in_year(self, year: i32) -> Option<Self> {
        let (first, last) = self.period.in_year(year)?;
        Some(Self::once(self.precision, first, last))
    }
}

impl Expression {
    pub(super) fn calendar(tokens: Range<usize>, readings: Vec<Reading>) -> Self {
        Self {
            tokens,
            readings,
            is_calendar: true,
        }
    }

    pub(super) fn relative(tokens: Range<usize>, reading: Reading) -> Self {
        Self {
            tokens,
            readings: vec![reading],
            is_calendar: false,
        }
    }
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, language: &'static Language, today: NaiveDate) -> Self {
        Self {
            text,
            language,
            today,
            tokens: tokenize(text, language),
        }
    }

    /// Every date that the text names, in order of its position.
    pub(super) fn dates(&self) -> Vec<NamedDate> {
        let expressions = sequence::join(self, self.expressions());
        let mut dates = Vec::new();
        let mut last: Option<(Expression, DateRelation)> = None;
        for expression in expressions {
            let mut relation = self.relation(&expression, last.as_ref().map(|(last, _)| last));
            // "before May 3 or May 5".
            if let Some((last, of_last)) = &last
                && relation == DateRelation::In
                && sequence::are_joined(self, last, &expression)
                && !self.is_range_joiner(last.tokens.end)
            {
                relation = *of_last;
            }
            let span = self.span(&expression.tokens);
            dates.extend(expression.readings.iter().map(|reading| NamedDate {
                span: span.clone(),
                precision: reading.precision,
                period: reading.period,
                relation,
            }));
            last = Some((expression, relation));
        }
        dates
    }

    /// Whether an expression that ends here is a possessor: "Monday's".
    pub(super) fn is_possessive(&self, end: usize) -> bool {
        self.is_glued(end) && matches!(self.mark(end), Some('\'' | '’'))
    }

    fn expressions(&self) -> Vec<Expression> {
        let mut expressions: Vec<Expression> = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let continues = expressions
                .last()
                .is_some_and(|last| self.after_joiner(last.tokens.end) == Some(at));
            match self.expression(at, continues) {
                Some(expression) => {
                    at = expression.tokens.end;
                    expressions.push(expression);
                }
                None => at += 1,
            }
        }
        expressions
    }

    /// Whether any date expression begins at a token.
    pub(super) fn begins_date(&self, at: usize) -> bool {
        self.expression(at, false).is_some()
    }

    fn expression(&self, at: usize, continues: bool) -> Option<Expression> {
        self.anchored(at).or_else(|| self.unanchored(at, continues))
    }

    /// An expression that does not refer to another.
    pub(super) fn unanchored(&self, at: usize, continues: bool) -> Option<Expression> {
        self.numeric_date(at)
            .or_else(|| self.week_of_month(at))
            .or_else(|| self.day_and_month(at))
            .or_else(|| self.month_and_day(at))
            .or_else(|| self.month(at, continues))
            .or_else(|| self.season(at))
            .or_else(|| self.holiday(at))
            .or_else(|| self.relative(at))
            .or_else(|| self.year(at, continues))
    }

    fn span(&self, tokens: &Range<usize>) -> Range<usize> {
        let start = self.tokens.get(tokens.start).map_or(0, |t| t.span.start);
        let last = tokens.end.saturating_sub(1);
        let end = self.tokens.get(last).map_or(start, |t| t.span.end);
        start..end
    }

    pub(super) fn word(&self, at: usize) -> Option<Word> {
        match self.tokens.get(at)?.kind {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn mark(&self, at: usize) -> Option<char> {
        match self.tokens.get(at)?.kind {
            TokenKind::Mark(mark) => Some(mark),
            _ => None,
        }
    }

    /// Value and digits of a number.
    pub(super) fn number(&self, at: usize) -> Option<(u32, usize)> {
        match self.tokens.get(at)?.kind {
            TokenKind::Number { value, digits } => Some((value, digits)),
            _ => None,
        }
    }

    pub(super) fn is_glued(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_glued)
    }

    pub(super) fn is_capitalized(&self, at: usize) -> bool {
        let token = self.tokens.get(at);
        token.is_some_and(|token| token.is_capitalized)
    }

    /// The token's text.
    pub(super) fn slice(&self, at: usize) -> &'a str {
        let span = self.tokens.get(at).map(|token| token.span.clone());
        span.and_then(|span| self.text.get(span)).unwrap_or("")
    }

    /// The word before a token; before a hyphen in "mid-May". "prior to" is "before".
    pub(super) fn word_before(&self, at: usize) -> Option<Word> {
        let before = self.position_before(at)?;
        match self.word(before)? {
            Word::To if before > 0 && self.word(before - 1) == Some(Word::Prior) => {
                Some(Word::Before)
            }
            word => Some(word),
        }
    }

    pub(super) fn position_before(&self, at: usize) -> Option<usize> {
        let before = at.checked_sub(1)?;
        if self.mark(before) == Some('-') && self.is_glued(at) && self.is_glued(before) {
            return before.checked_sub(1);
        }
        Some(before)
    }

    /// The word before a token and its article.
    pub(super) fn word_before_article(&self, at: usize) -> Option<Word> {
        match self.word_before(at) {
            Some(Word::The) => self.word_before(at.checked_sub(1)?),
            word => word,
        }
    }

    /// The position after a token, and after what `is_optional` accepts next.
    pub(super) fn skip(&self, at: usize, is_optional: fn(Word) -> bool) -> usize {
        match self.word(at) {
            Some(word) if is_optional(word) => at + 1,
            _ => at,
        }
    }

    /// Whether a number stands alone on its left: not in `v2`, `1.5` or `$5`.
    pub(super) fn begins_number(&self, at: usize) -> bool {
        if !self.is_glued(at) {
            return true;
        }
        let before = at.checked_sub(1).and_then(|before| self.mark(before));
        before.is_some_and(|mark| {
            matches!(mark, '(' | '[' | '{' | '"' | '“' | '„' | '‘' | '\'' | '—')
        })
    }

    /// Whether a number stands alone on its right: not in `5kg`, `5.5`, `5:30` or
    /// `5%`, nor before what it counts, as in `2000 miles`.
    pub(super) fn ends_number(&self, at: usize) -> bool {
        let next = at + 1;
        if self.is_counted(next) {
            return false;
        }
        if !self.is_glued(next) {
            return true;
        }
        match self.mark(next) {
            None => false,
            Some('%' | '°' | '$' | '€' | '£' | '+') => false,
            Some(_) => !(self.is_glued(next + 1) && self.number(next + 1).is_some()),
        }
    }

    /// Whether a word is something that numbers count, in any language: numbers
    /// look the same in all.
    fn is_counted(&self, at: usize) -> bool {
        if self.word(at).is_none() {
            return false;
        }
        let word = self.slice(at).to_lowercase();
        LANGUAGES
            .iter()
            .any(|language| matches!(language.word(&word), Word::Measure | Word::Unit(_)))
    }

    /// The token after one that joins two dates to a list or a range, and after
    /// its article.
    pub(super) fn after_joiner(&self, at: usize) -> Option<usize> {
        self.is_joiner(at)
            .then(|| self.skip(at + 1, |word| matches!(word, Word::The)))
    }

    fn is_joiner(&self, at: usize) -> bool {
        self.word(at) == Some(Word::And)
            || matches!(self.mark(at), Some(',' | '/'))
            || self.is_range_joiner(at)
    }

    /// Whether a token between two dates makes them the ends of a range.
    pub(super) fn is_range_joiner(&self, at: usize) -> bool {
        self.word(at).is_some_and(Word::continues_range) || self.is_dash(at)
    }

    pub(super) fn is_dash(&self, at: usize) -> bool {
        matches!(self.mark(at), Some('-' | '–' | '—'))
    }

    /// Whether the word after an expression makes it the first part of a
    /// compound, as in "summer camp" or "Christmas tree".
    pub(super) fn begins_compound(&self, next: usize) -> bool {
        self.language.has_open_compounds
            && matches!(
                self.word(next),
                Some(Word::Other | Word::Edge | Word::Prior)
            )
            && !self.is_glued(next)
            && !self.is_capitalized(next)
            && !crate::is_stop_word(self.slice(next))
    }
}
