//! Dates of digits: `2023-05-07`, `7.5.2023`, `5/7/2023`, `2023-05`.

use chrono::NaiveDate;

use super::calendar::{LONE_YEARS, month_reading};
use super::parser::{Expression, Parser, Reading};

/// Two digits from here on are of the 20th century, as in POSIX.
const FIRST_OF_1900S: u32 = 69;

impl Parser<'_> {
    /// A date of digits, with every reading that is valid.
    pub(super) fn numeric_date(&self, at: usize) -> Option<Expression> {
        let (a, a_digits) = self.number(at)?;
        if !self.begins_number(at) {
            return None;
        }
        let separator = self.mark(at + 1).filter(|c| matches!(c, '-' | '/' | '.'))?;
        let (b, b_digits) = self.glued_number(at + 2)?;
        let third = (self.mark(at + 3) == Some(separator) && self.is_glued(at + 3))
            .then(|| self.glued_number(at + 4))
            .flatten();
        let Some((c, c_digits)) = third else {
            return self.year_and_month(at, (a, a_digits), (b, b_digits), separator);
        };
        let end = at + 5;
        if b_digits > 2 || !self.ends_numeric_date(end) {
            return None;
        }
        let candidates = match (a_digits, separator, c_digits) {
            (4, _, 1..=2) => vec![(a, b, c)],
            (1..=2, '.', 4) => vec![(c, b, a)],
            (1..=2, '/' | '-', 4) => vec![(c, a, b), (c, b, a)],
            (1..=2, '/', 2) => vec![(full_year(c), a, b), (full_year(c), b, a)],
            _ => return None,
        };
        let mut readings: Vec<Reading> = Vec::new();
        // An impossible day, such as 2023-02-30, is read as its month.
        for read in [day_of, month_of] {
            if !readings.is_empty() {
                break;
            }
            for &(year, month, day) in &candidates {
                let reading = (year > 0).then(|| read(year, month, day)).flatten();
                readings.extend(reading.filter(|reading| !readings.contains(reading)));
            }
        }
        (!readings.is_empty()).then(|| Expression::calendar(at..end, readings))
    }

    pub(super) fn glued_number(&self, at: usize) -> Option<(u32, usize)> {
        self.number(at).filter(|_| self.is_glued(at))
    }

    /// Whether a date of digits ends here: a time may follow, but no digits as
    /// in an address or a version.
    fn ends_numeric_date(&self, end: usize) -> bool {
        let is_time = matches!(self.slice(end), "T" | "t");
        is_time || self.ends_number(end - 1)
    }

    /// `2023-05` or `05/2023`.
    fn year_and_month(
        &self,
        at: usize,
        (a, a_digits): (u32, usize),
        (b, b_digits): (u32, usize),
        separator: char,
    ) -> Option<Expression> {
        let (year, month) = match (a_digits, separator, b_digits) {
            (4, '-' | '/', 2) => (a, b),
            (1..=2, '/', 4) => (b, a),
            _ => return None,
        };
        let is_month = LONE_YEARS.contains(&year) && (1..=12).contains(&month);
        if !is_month || !self.ends_number(at + 2) {
            return None;
        }
        let reading = month_reading(month).in_year(i32::try_from(year).ok()?)?;
        Some(Expression::calendar(at..at + 3, vec![reading]))
    }
}

/// A year of two digits in full.
pub(super) fn full_year(two_digits: u32) -> u32 {
    if two_digits < FIRST_OF_1900S {
        2000 + two_digits
    } else {
        1900 + two_digits
    }
}

fn day_of(year: u32, month: u32, day: u32) -> Option<Reading> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).map(Reading::day)
}

/// The month of a day that may be one of another month.
fn month_of(year: u32, month: u32, day: u32) -> Option<Reading> {
    let is_valid = (1..=12).contains(&month) && (1..=31).contains(&day);
    let reading = is_valid.then(|| month_reading(month))?;
    reading.in_year(i32::try_from(year).ok()?)
}
