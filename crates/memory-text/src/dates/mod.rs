//! Dates in questions: finding them in running text, and how close a memory's
//! time is to them.
//!
//! [`named_dates`] finds what a question names: "in June", "on 7 May 2023",
//! "last Tuesday", "two weeks ago". [`date_closeness`] turns that into a value
//! for a memory's time that is bounded and never negative, so that a date lifts
//! memories and excludes none. [`asks_when`] and [`has_time_word`] are for
//! questions that ask for a date instead of naming one.
//!
//! The grammar is the same for every language; the words are a table per
//! language in `languages/`. Every text is read with every table, as questions
//! do not say which language they are in.
//!
//! # Readings
//! - Relative expressions refer to a moment that the caller passes. Days are
//!   those of UTC, as a question does not say where it was asked; weeks begin on
//!   Monday.
//! - A date without a year is every year's: "in June" means any June. Only
//!   "last", "this" and "next" choose one.
//! - "last Tuesday" is the latest one before today, and "on Tuesday" the latest
//!   one up to today: questions to a memory are about the past.
//! - Dates like 5/7/2023 are ambiguous. Both readings are returned, with the
//!   same span, if both are valid; with points (7.5.2023) the day is first.
//! - Seasons are the meteorological ones of the northern hemisphere: winter is
//!   December to February. "Winter 2022" is either winter that touches the year.
//! - A date relative to another ("two weeks before August 11, 2023") is returned
//!   together with the one it refers to: a conversation of that day may have
//!   spoken of it.
//! - An impossible day, such as February 30 or 2023-02-30, is read as its month.
//! - "before" and "after" mean the times around a date and not the date itself;
//!   "since", "until" and "by" include it. Where only a part of it is named ("before
//!   the end of May"), or something that happens then ("after Monday's call"), all of
//!   it is included. "on or after" includes the date, "not before" is "since", and "until"
//!   behind the beginning of a range ("from Monday until Friday") is its end alone.
//! - Words that are also something else (may, march, fall, second, a person
//!   called April) count only next to a preposition or a number that makes them
//!   a date.
//!
//! # Why not a library
//! The parsers of English dates that exist as crates (`interim`,
//! `chrono-english`, `two_timer`, `parse_datetime`, `date_time_parser`) parse a
//! text that is a date, rather than find one in a sentence. They return a moment
//! and not how precise it is, choose a year where none is named, and know one
//! language.

mod calendar;
mod closeness;
mod languages;
mod numeric;
mod parser;
mod questions;
mod relation;
mod relative;
mod sequence;
mod tokens;
mod words;

#[cfg(test)]
mod phrase_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod relation_tests;

use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};

use languages::LANGUAGES;
use parser::Parser;

pub use closeness::date_closeness;

/// A date expression that a text contains, in one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedDate {
    /// Where it is, in bytes of the text.
    pub span: Range<usize>,
    /// How precise it is.
    pub precision: DatePrecision,
    /// The days that it names.
    pub period: Period,
    /// Which times are meant around them.
    pub relation: DateRelation,
}

/// Which times are meant around the days that a date expression names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateRelation {
    /// The days themselves: "in May", "on May 7".
    In,
    /// What is earlier: "before May".
    Before,
    /// The days and what is earlier: "until May", "by May".
    Until,
    /// The days and what is later: "since May".
    Since,
    /// What is later: "after May".
    After,
}

/// How precise a date expression is, from the finest to the coarsest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatePrecision {
    /// One day, or a weekend.
    Day,
    /// A week, or a range of days of about that length.
    Week,
    /// A month, or a range of about that length.
    Month,
    /// A season of three months, or a range of about that length.
    Season,
    /// A year or more.
    Year,
}

/// The days that a date expression names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From the first to the last day, both included.
    Once {
        /// The first day.
        first: NaiveDate,
        /// The last day, not before the first.
        last: NaiveDate,
    },
    /// The same days of every year.
    Yearly {
        /// The first day.
        first: MonthDay,
        /// The last day; in the following year if it is before the first.
        last: MonthDay,
    },
}

/// A day of a year: month and day of the month, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31; February has 29 days.
    pub day: u32,
}

impl Period {
    /// First and last day of the period that begins in `year`. `None` where the
    /// year is out of range, or has no such first day (February 29).
    #[must_use]
    pub fn in_year(&self, year: i32) -> Option<(NaiveDate, NaiveDate)> {
        match *self {
            Self::Once { first, last } => Some((first, last)),
            Self::Yearly { first, last } => {
                let end_year = if last < first {
                    year.checked_add(1)?
                } else {
                    year
                };
                let begin = NaiveDate::from_ymd_opt(year, first.month, first.day)?;
                // The last day of February in a common year.
                let end = NaiveDate::from_ymd_opt(end_year, last.month, last.day)
                    .or_else(|| NaiveDate::from_ymd_opt(end_year, last.month, last.day - 1))?;
                Some((begin, end))
            }
        }
    }
}

/// The date expressions of a text, relative to `now`, in order of their
/// position; several with one span are readings of one expression.
///
/// Takes time in proportion to the text: about three microseconds for a
/// question of a hundred characters.
///
/// ```
/// use chrono::{DateTime, NaiveDate};
/// use memory_text::dates::{DatePrecision, Period, named_dates};
///
/// let now: DateTime<chrono::Utc> = "2023-06-14T09:00:00Z".parse()?;
/// let dates = named_dates("Where may I have been last week?", now);
/// let [date] = dates.as_slice() else {
///     panic!("one date, and not the month of May: {dates:?}");
/// };
/// assert_eq!(date.precision, DatePrecision::Week);
/// assert_eq!(
///     date.period,
///     Period::Once {
///         first: "2023-06-05".parse()?,
///         last: "2023-06-11".parse()?,
///     }
/// );
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[must_use]
pub fn named_dates(text: &str, now: DateTime<Utc>) -> Vec<NamedDate> {
    let today = now.date_naive();
    let mut dates: Vec<NamedDate> = Vec::new();
    for language in LANGUAGES {
        let found = Parser::new(text, language, today).dates();
        // The same words in two languages are one expression, and of two that
        // overlap the longer is the one that was understood. Of two that are alike
        // it is the one of which the words before it were understood too.
        let covers = |outer: &NamedDate, inner: &NamedDate| {
            outer.span.start <= inner.span.start && inner.span.end <= outer.span.end
        };
        let says_more = |new: &NamedDate, old: &NamedDate| {
            new.span == old.span
                && old.relation == DateRelation::In
                && new.relation != DateRelation::In
        };
        let new: Vec<_> = found
            .into_iter()
            .filter(|new| {
                let is_known = |old: &NamedDate| covers(old, new) && !says_more(new, old);
                !dates.iter().any(is_known)
            })
            .collect();
        dates.retain(|old| !new.iter().any(|new| covers(new, old)));
        dates.extend(new);
    }
    dates.sort_by_key(|date| (date.span.start, date.span.end));
    dates
}

/// Whether a text contains a date or a word of time, such as "yesterday", "last
/// week", "two years ago" or the name of a weekday.
#[must_use]
pub fn has_time_word(content: &str) -> bool {
    LANGUAGES
        .iter()
        .any(|language| Parser::new(content, language, NaiveDate::default()).has_time_word())
}

/// Whether a question asks for a date: "When did …", "In which month …", "How
/// long ago …". Not where "when" joins two clauses: "What did he say when …".
#[must_use]
pub fn asks_when(question: &str) -> bool {
    LANGUAGES
        .iter()
        .any(|language| Parser::new(question, language, NaiveDate::default()).asks_when())
}
