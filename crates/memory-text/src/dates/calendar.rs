//! Dates of the calendar with words: "7th of May", "May 7, 2023", "in June",
//! "summer 2022", "in 2021", "on Christmas".

use chrono::{Datelike, NaiveDate};

use super::numeric::full_year;
use super::parser::{Expression, Parser, Reading};
use super::words::{Certainty, Unit, Which, Word};
use super::{DatePrecision, MonthDay};

/// Years that count where no month is named with them: others are more likely
/// to be an amount.
pub(super) const LONE_YEARS: std::ops::RangeInclusive<u32> = 1900..=2099;

/// Days of each month, in a leap year.
const MONTH_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The number of a day, and whether it is written as an ordinal.
struct Day {
    value: u32,
    is_ordinal: bool,
    /// The token after it.
    next: usize,
}

impl Parser<'_> {
    /// "first week of May", "last week of June 2023".
    pub(super) fn week_of_month(&self, at: usize) -> Option<Expression> {
        let week = match self.word(at) {
            Some(Word::Ordinal(week @ 1..=4)) => Some(week),
            Some(Word::Which(Which::Last)) => None,
            _ => {
                let day = self.day(at).filter(|day| day.is_ordinal)?;
                if day.value > 4 || self.word(day.next) != Some(Word::Unit(Unit::Week)) {
                    return None;
                }
                return self.week_of_month_from(at, day.next, Some(day.value));
            }
        };
        self.week_of_month_from(at, at + 1, week)
    }

    fn week_of_month_from(&self, at: usize, unit: usize, week: Option<u32>) -> Option<Expression> {
        if self.word(unit) != Some(Word::Unit(Unit::Week)) {
            return None;
        }
        let month_at = self.skip(unit + 1, |word| matches!(word, Word::Of | Word::In));
        let Some(Word::Month(month, _)) = self.word(month_at) else {
            return None;
        };
        let first_day = week.map_or(month_days(month) - 6, |week| 7 * week - 6);
        let first = MonthDay {
            month,
            day: first_day,
        };
        let last = MonthDay {
            month,
            day: first_day + 6,
        };
        let reading = Reading::yearly(DatePrecision::Week, first, last);
        self.with_year(at, month_at + 1, reading)
    }

    /// "7 May", "7th of May 2023", "7. Mai", "5-7 May", "7-May-2023".
    pub(super) fn day_and_month(&self, at: usize) -> Option<Expression> {
        let first = self.day(at)?;
        let range = (self.is_dash(first.next) || self.word(first.next) == Some(Word::To))
            .then(|| self.day(first.next + 1))
            .flatten()
            .filter(|last| last.value > first.value);
        let last = range.as_ref().unwrap_or(&first);
        let mut month_at = self.skip(last.next, |word| matches!(word, Word::Of));
        let has_of = month_at > last.next;
        if self.is_separated_by(month_at, &['-', '/']) {
            month_at += 1;
        }
        let (month, certainty) = self.month_name(month_at)?;
        let is_written_as_date =
            first.is_ordinal || has_of || self.year_after(month_at + 1).is_some();
        if certainty == Certainty::Weak && !is_written_as_date && !self.is_capitalized(month_at) {
            return None;
        }
        let days = (first.value, last.value);
        self.days_of_month(at, self.after_month(month_at), month, days)
    }

    /// "May 7", "May 7th, 2023", "May 5-7".
    pub(super) fn month_and_day(&self, at: usize) -> Option<Expression> {
        let (month, certainty) = self.month_name(at)?;
        let mut day_at = self.after_month(at);
        if self.is_separated_by(day_at, &['-']) {
            day_at += 1;
        }
        let day_at = self.skip(day_at, |word| matches!(word, Word::The));
        let first = self.day(day_at)?;
        let range = (self.is_dash(first.next) || self.word(first.next) == Some(Word::To))
            .then(|| self.range_end(first.next + 1))
            .flatten()
            .filter(|last| last.value > first.value);
        let has_year = self.year_after(first.next).is_some();
        let is_alone = has_year || first.is_ordinal || range.is_some() || self.ends_number(day_at);
        if !is_alone || !self.is_month_before_number(at, certainty, &first, has_year) {
            return None;
        }
        let last = range.as_ref().unwrap_or(&first);
        self.days_of_month(at, last.next, month, (first.value, last.value))
    }

    /// Whether a month's name before a number is that of a month, unlike in "may 2 of us come".
    fn is_month_before_number(
        &self,
        at: usize,
        certainty: Certainty,
        day: &Day,
        has_year: bool,
    ) -> bool {
        if certainty != Certainty::Weak || has_year {
            return true;
        }
        let is_digits = self.number(day.next - 1).is_some();
        if is_digits && !self.is_capitalized(at) || at == 0 {
            // In lower case, or at the beginning: only where nothing that could
            // be counted follows.
            return !matches!(self.word(day.next), Some(Word::Other | Word::Of));
        }
        let is_suffixed = day.next > at + 2;
        let is_spelled = !is_digits && !is_suffixed;
        !is_spelled || self.is_capitalized(at)
    }

    /// The second day of a range, unless another month follows it: "May 5 - 7
    /// June" is two dates.
    fn range_end(&self, at: usize) -> Option<Day> {
        let day = self.day(at)?;
        let has_month = self.month_name(day.next).is_some();
        (!has_month && (day.is_ordinal || self.ends_number(at))).then_some(day)
    }

    /// The reading of days of a month, with the year that may follow.
    fn days_of_month(
        &self,
        at: usize,
        next: usize,
        month: u32,
        (first, last): (u32, u32),
    ) -> Option<Expression> {
        let month_day = |day| MonthDay { month, day };
        if last > month_days(month) {
            // No such day: only the month is named.
            return self.with_year(at, next, month_reading(month));
        }
        let precision = match last - first {
            0 => DatePrecision::Day,
            1..=10 => DatePrecision::Week,
            _ => DatePrecision::Month,
        };
        let reading = Reading::yearly(precision, month_day(first), month_day(last));
        match self.year_after(next) {
            // February 29 of a common year: only the month is named.
            Some((year, _)) if reading.in_year(year).is_none() => {
                self.with_year(at, next, month_reading(month))
            }
            _ => self.with_year(at, next, reading),
        }
    }

    /// "in June", "May 2023", "last March", "June of last year".
    pub(super) fn month(&self, at: usize, continues: bool) -> Option<Expression> {
        let (month, certainty) = self.month_name(at)?;
        let reading = month_reading(month);
        let next = self.after_month(at);
        if self.year_after(next).is_some() {
            return self.with_year(at, next, reading);
        }
        if self.is_possessive(next) && certainty != Certainty::Certain {
            return None;
        }
        let before = self.word_before(at);
        if let Some(Word::Which(which)) = before {
            let is_weak = certainty == Certainty::Weak && which == Which::This;
            if is_weak && !self.is_capitalized(at) {
                return None;
            }
            let reading = self.which_year(which, reading)?;
            return Some(Expression::relative(at - 1..at + 1, reading));
        }
        let is_date = match certainty {
            Certainty::Certain => true,
            Certainty::Ambiguous | Certainty::Weak => {
                continues
                    || before.is_some_and(Word::is_preposition_of_time)
                    || before == Some(Word::Of)
                    || before == Some(Word::From) && self.continues_range(next)
            }
            Certainty::Abbreviation => continues || before.is_some_and(Word::is_in),
        };
        is_date.then(|| Expression::calendar(at..next, vec![reading]))
    }

    fn continues_range(&self, at: usize) -> bool {
        self.is_range_joiner(at) || self.word(at) == Some(Word::And)
    }

    /// "in summer", "last winter", "fall 2022", "the spring of 2023".
    pub(super) fn season(&self, at: usize) -> Option<Expression> {
        let Some(Word::Season(month, certainty)) = self.word(at) else {
            return None;
        };
        let end_month = (month + 1) % 12 + 1;
        let first = MonthDay { month, day: 1 };
        let last = MonthDay {
            month: end_month,
            day: month_days(end_month),
        };
        let reading = Reading::yearly(DatePrecision::Season, first, last);
        if let Some((year, next)) = self.year_after(at + 1) {
            let is_winter = last < first;
            let years = [Some(year), is_winter.then_some(year - 1)];
            let readings = years.into_iter().flatten();
            let readings = readings.filter_map(|year| reading.in_year(year)).collect();
            return Some(Expression::calendar(at..next, readings));
        }
        if let Some(Word::Which(which)) = self.word_before(at) {
            let reading = self.which_year(which, reading)?;
            return Some(Expression::relative(at - 1..at + 1, reading));
        }
        let is_time = match self.word_before_article(at) {
            Some(Word::Of) => certainty != Certainty::Weak,
            before => before.is_some_and(Word::is_preposition_of_time),
        };
        let is_date = is_time && !self.begins_compound(at + 1);
        is_date.then(|| Expression::calendar(at..at + 1, vec![reading]))
    }

    /// "on Christmas", "last Halloween".
    pub(super) fn holiday(&self, at: usize) -> Option<Expression> {
        let Some(Word::Holiday(month, day)) = self.word(at) else {
            return None;
        };
        let month_day = MonthDay { month, day };
        let reading = Reading::yearly(DatePrecision::Day, month_day, month_day);
        if self.year_after(at + 1).is_some() {
            return self.with_year(at, at + 1, reading);
        }
        if self.begins_compound(at + 1) {
            return None;
        }
        match self.word_before(at) {
            Some(Word::Which(which)) => {
                let reading = self.which_year(which, reading)?;
                Some(Expression::relative(at - 1..at + 1, reading))
            }
            Some(before) if before == Word::On || before.is_preposition_of_time() => {
                Some(Expression::calendar(at..at + 1, vec![reading]))
            }
            _ => None,
        }
    }

    /// A year alone, after a preposition: "in 2023".
    pub(super) fn year(&self, at: usize, continues: bool) -> Option<Expression> {
        let (value, digits) = self.number(at)?;
        let is_year = digits == 4 && LONE_YEARS.contains(&value);
        let begins_range = self.is_dash(at + 1) && matches!(self.number(at + 2), Some((_, 4)));
        if !is_year || !(begins_range || self.ends_number(at)) {
            return None;
        }
        let is_dated = match self.word_before(at) {
            Some(Word::Of | Word::From | Word::Unit(Unit::Year)) => true,
            before => continues || before.is_some_and(Word::is_preposition_of_time),
        };
        if !is_dated || !(continues || self.begins_number(at) || self.is_glued_prefix(at)) {
            return None;
        }
        let reading = year_reading(i32::try_from(value).ok()?)?;
        Some(Expression::calendar(at..at + 1, vec![reading]))
    }

    /// "mid-2023".
    fn is_glued_prefix(&self, at: usize) -> bool {
        self.word_before(at).is_some_and(Word::is_in)
    }

    /// The reading in the year that follows, if one does, else of every year.
    fn with_year(&self, at: usize, next: usize, reading: Reading) -> Option<Expression> {
        match self.year_after(next) {
            Some((year, next)) => {
                let reading = reading.in_year(year)?;
                Some(Expression::calendar(at..next, vec![reading]))
            }
            None => Some(Expression::calendar(at..next, vec![reading])),
        }
    }

    /// The year that may follow a day, month or season, and the token after it:
    /// "2023", ", 2023", "of 2023", "'23", "of last year".
    fn year_after(&self, at: usize) -> Option<(i32, usize)> {
        let mut at = self.skip(at, |word| matches!(word, Word::Of));
        if let Some(Word::Which(which)) = self.word(at) {
            let is_year = self.word(at + 1) == Some(Word::Unit(Unit::Year));
            let offset = match which {
                Which::Last => -1,
                Which::This => 0,
                Which::Next => 1,
            };
            return is_year.then_some((self.today.year() + offset, at + 2));
        }
        if matches!(self.mark(at), Some('\'' | '’')) {
            let (value, digits) = self.glued_number(at + 1)?;
            let year = i32::try_from(full_year(value)).ok()?;
            return (digits == 2 && self.ends_number(at + 1)).then_some((year, at + 2));
        }
        let separator = self.mark(at).filter(|mark| matches!(mark, ',' | '-' | '/'));
        if let Some(separator) = separator {
            // "May, 2023", and "7-May-2023" without spaces.
            if separator != ',' && !(self.is_glued(at) && self.is_glued(at + 1)) {
                return None;
            }
            at += 1;
        }
        let (value, digits) = self.number(at)?;
        let is_year = digits == 4 && value > 0 && self.ends_number(at);
        Some((i32::try_from(value).ok()?, at + 1)).filter(|_| is_year)
    }

    /// A month's name: number and certainty.
    fn month_name(&self, at: usize) -> Option<(u32, Certainty)> {
        match self.word(at)? {
            Word::Month(month, certainty) => Some((month, certainty)),
            _ => None,
        }
    }

    /// The token after a month's name, and after the point of an abbreviation.
    fn after_month(&self, at: usize) -> usize {
        let is_short = matches!(self.month_name(at), Some((_, Certainty::Abbreviation)));
        let has_point = self.mark(at + 1) == Some('.') && self.is_glued(at + 1);
        at + 1 + usize::from(is_short && has_point)
    }

    /// Whether one of these marks is here, without spaces on either side.
    fn is_separated_by(&self, at: usize, marks: &[char]) -> bool {
        self.mark(at).is_some_and(|mark| marks.contains(&mark))
            && self.is_glued(at)
            && self.is_glued(at + 1)
    }

    /// A day of the month: "7", "7th", "7." or "seventh".
    fn day(&self, at: usize) -> Option<Day> {
        if let Some(Word::Ordinal(value)) = self.word(at) {
            let (is_ordinal, next) = (true, at + 1);
            return Some(Day {
                value,
                is_ordinal,
                next,
            });
        }
        let (value, digits) = self.number(at)?;
        let is_day = digits <= 2 && (1..=31).contains(&value);
        let is_range_end = at.checked_sub(1).is_some_and(|before| self.is_dash(before));
        if !is_day || !(self.begins_number(at) || is_range_end) {
            return None;
        }
        let suffix = self.slice(at + 1);
        let suffixes = self.language.ordinal_suffixes;
        let is_suffix = suffixes.iter().any(|s| s.eq_ignore_ascii_case(suffix));
        let is_point = self.language.has_ordinal_point && self.mark(at + 1) == Some('.');
        let is_ordinal = self.is_glued(at + 1) && (is_suffix || is_point);
        let is_glued_word = self.is_glued(at + 1) && self.word(at + 1).is_some();
        (is_ordinal || !is_glued_word).then_some(Day {
            value,
            is_ordinal,
            next: at + 1 + usize::from(is_ordinal),
        })
    }
}

fn month_days(month: u32) -> u32 {
    let index = (month as usize).wrapping_sub(1);
    MONTH_DAYS.get(index).copied().unwrap_or(31)
}

pub(super) fn month_reading(month: u32) -> Reading {
    let day = month_days(month);
    Reading::yearly(
        DatePrecision::Month,
        MonthDay { month, day: 1 },
        MonthDay { month, day },
    )
}

pub(super) fn year_reading(year: i32) -> Option<Reading> {
    let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
    let last = NaiveDate::from_ymd_opt(year, 12, 31)?;
    Some(Reading::once(DatePrecision::Year, first, last))
}
