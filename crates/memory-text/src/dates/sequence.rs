//! Dates that belong together: "in May or June 2023" shares a year, "between May
//! 3 and May 7" is a range.

use chrono::Datelike;

use super::parser::{Expression, Parser, Reading};
use super::relative::precision_of;
use super::words::Word;
use super::{DatePrecision, Period};

/// Any leap year.
const LEAP_YEAR: i32 = 2024;

/// Gives dates without a year the year of the one that they are listed with, and
/// joins the two ends of a range.
pub(super) fn join(parser: &Parser<'_>, mut expressions: Vec<Expression>) -> Vec<Expression> {
    for index in (0..expressions.len().saturating_sub(1)).rev() {
        let (left, right) = expressions.split_at_mut(index + 1);
        if let (Some(first), Some(second)) = (left.last_mut(), right.first()) {
            share_year(parser, first, second);
        }
    }
    let mut joined: Vec<Expression> = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let range = joined
            .last()
            .and_then(|first| range(parser, first, &expression));
        match (range, joined.last_mut()) {
            (Some(range), Some(first)) => *first = range,
            _ => joined.push(expression),
        }
    }
    joined
}

/// Whether only a joining token, and perhaps an article, is between two
/// expressions.
pub(super) fn are_joined(parser: &Parser<'_>, first: &Expression, second: &Expression) -> bool {
    parser.after_joiner(first.tokens.end) == Some(second.tokens.start)
}

fn share_year(parser: &Parser<'_>, first: &mut Expression, second: &Expression) {
    let [reading] = first.readings.as_slice() else {
        return;
    };
    let Some(second_reading) = second.readings.first() else {
        return;
    };
    let Period::Once { first: start, .. } = second_reading.period else {
        return;
    };
    let is_date = second.is_calendar && second_reading.precision < DatePrecision::Year;
    if !is_date || !are_joined(parser, first, second) {
        return;
    }
    // "December and January 2023": the year before, as a list runs forward.
    let years = [start.year(), start.year() - 1];
    let in_year = years.iter().find_map(|year| {
        let reading = reading.in_year(*year)?;
        match reading.period {
            Period::Once { first, .. } if first <= start => Some(reading),
            _ => None,
        }
    });
    if let (Period::Yearly { .. }, Some(reading)) = (reading.period, in_year) {
        first.readings = vec![reading];
    }
}

/// Two expressions as the ends of one range, if they are.
fn range(parser: &Parser<'_>, first: &Expression, second: &Expression) -> Option<Expression> {
    if !are_joined(parser, first, second) {
        return None;
    }
    let begins = matches!(
        parser.word_before_article(first.tokens.start),
        Some(Word::From)
    );
    let joiner = first.tokens.end;
    let is_range = match parser.word(joiner) {
        Some(Word::And) => begins,
        _ => parser.is_range_joiner(joiner),
    };
    let ([start], [end]) = (first.readings.as_slice(), second.readings.as_slice()) else {
        return None;
    };
    let reading = match (start.period, end.period) {
        (Period::Once { first, .. }, Period::Once { last, .. }) if first <= last => {
            Reading::once(precision_of(first, last), first, last)
        }
        (Period::Yearly { first, .. }, Period::Yearly { last, .. }) if first != last => {
            // A leap year tells its length: it has every day that can be named.
            let whole = Reading::yearly(start.precision, first, last);
            let (begin, end) = whole.period.in_year(LEAP_YEAR)?;
            Reading::yearly(precision_of(begin, end), first, last)
        }
        _ => return None,
    };
    is_range.then(|| Expression {
        tokens: first.tokens.start..second.tokens.end,
        readings: vec![reading],
        is_calendar: first.is_calendar && second.is_calendar,
    })
}
