//! Dates relative to now or to another date: "yesterday", "last week", "two
//! months ago", "on Monday", "the week before August 3".

use chrono::{Datelike, Days, Months, NaiveDate};

use super::calendar::year_reading;
use super::parser::{Expression, Parser, Reading};
use super::words::{Unit, Which, Word};
use super::{DatePrecision, Period};

/// Days on either side of a date that was counted in weeks or in months: people
/// round.
const WEEK_TOLERANCE: i64 = 3;
const MONTH_TOLERANCE: i64 = 15;

/// How far around the present the year of "last May" is searched.
const NEARBY_YEARS: std::ops::RangeInclusive<i32> = -2..=2;

impl Parser<'_> {
    pub(super) fn relative(&self, at: usize) -> Option<Expression> {
        match self.word(at) {
            Some(Word::DayOffset(offset)) => {
                let day = add_days(self.today, offset)?;
                Some(Expression::relative(at..at + 1, Reading::day(day)))
            }
            Some(Word::Weekday(weekday)) => self.weekday(at, weekday),
            Some(Word::Which(which)) => self.which_unit(at, which),
            Some(Word::Before) if self.language.before_means_ago => {
                let (amount, next) = self.quantity(at + 1)?;
                let unit = self.unit(next)?;
                let reading = around(self.today, unit, -i64::from(amount))?;
                Some(Expression::relative(at..next + 1, reading))
            }
            Some(Word::Unit(Unit::Weekend)) => self.weekend(at),
            _ => self.ago(at),
        }
    }

    /// "two weeks ago", "a couple of days ago".
    fn ago(&self, at: usize) -> Option<Expression> {
        let (amount, next) = self.quantity(at)?;
        let unit = self.unit(next)?;
        if self.word(next + 1) != Some(Word::Ago) {
            return None;
        }
        let reading = around(self.today, unit, -i64::from(amount))?;
        Some(Expression::relative(at..next + 2, reading))
    }

    /// "on Monday", "since Friday". A weekday with a date is only the date's.
    fn weekday(&self, at: usize, weekday: u32) -> Option<Expression> {
        let mut date_at = at + 1;
        if self.mark(date_at) == Some(',') {
            date_at += 1;
        }
        let date_at = self.skip(date_at, |word| matches!(word, Word::The));
        if let Some(date) = self
            .numeric_date(date_at)
            .or_else(|| self.day_and_month(date_at))
            .or_else(|| self.month_and_day(date_at))
        {
            return Some(Expression {
                tokens: at..date.tokens.end,
                ..date
            });
        }
        let before = self.word_before(at)?;
        if before != Word::On && !before.is_preposition_of_time() {
            return None;
        }
        let day = latest_weekday(self.today, weekday)?;
        let is_date = self.word(at + 1) != Some(Word::Of) && !self.begins_compound(at + 1);
        is_date.then(|| Expression::relative(at..at + 1, Reading::day(day)))
    }

    /// "over the weekend": the latest that has begun.
    fn weekend(&self, at: usize) -> Option<Expression> {
        let before = self.word_before_article(at)?;
        if before != Word::On && !before.is_preposition_of_time() {
            return None;
        }
        let has_begun = self.today.weekday().num_days_from_monday() >= 5;
        let reading = calendar_unit(self.today, Unit::Weekend, -i64::from(!has_begun))?;
        Some(Expression::relative(at..at + 1, reading))
    }

    /// "last week", "this month", "last Tuesday", "last night", "the past three
    /// weeks". ("last May" and "last summer" are read at the month or season.)
    fn which_unit(&self, at: usize, which: Which) -> Option<Expression> {
        let offset = match which {
            Which::Last => -1,
            Which::This => 0,
            Which::Next => 1,
        };
        // "the last Monday of May" is of May, whatever is now.
        let is_part = |end: usize| self.word(end) == Some(Word::Of);
        let (reading, end) = match self.word(at + 1)? {
            Word::Weekday(weekday) => (Reading::day(self.which_weekday(which, weekday)?), at + 2),
            Word::PartOfDay => (Reading::day(add_days(self.today, offset)?), at + 2),
            Word::Unit(Unit::Hour | Unit::Day) => return None,
            Word::Unit(unit) => (calendar_unit(self.today, unit, offset)?, at + 2),
            _ => {
                let (amount, unit_at) = self.quantity(at + 1)?;
                let unit = self.unit(unit_at)?;
                let end = add_units(self.today, unit, offset * i64::from(amount))?;
                let (first, last) = (end.min(self.today), end.max(self.today));
                (
                    Reading::once(precision_of(first, last), first, last),
                    unit_at + 1,
                )
            }
        };
        (!is_part(end)).then(|| Expression::relative(at..end, reading))
    }

    fn which_weekday(&self, which: Which, weekday: u32) -> Option<NaiveDate> {
        match which {
            Which::Last => latest_weekday(add_days(self.today, -1)?, weekday),
            Which::This => {
                let monday = monday_of(self.today)?;
                add_days(monday, i64::from(weekday))
            }
            Which::Next => latest_weekday(add_days(self.today, 7)?, weekday),
        }
    }

    /// One year of a yearly reading: the latest that is over for "last", the
    /// present or this year's for "this", the first that has not begun for
    /// "next".
    pub(super) fn which_year(&self, which: Which, reading: Reading) -> Option<Reading> {
        let today = self.today;
        let mut nearby = NEARBY_YEARS.filter_map(|offset| {
            let reading = reading.in_year(today.year().checked_add(offset)?)?;
            match reading.period {
                Period::Once { first, last } => Some((reading, first, last)),
                Period::Yearly { .. } => None,
            }
        });
        let found = match which {
            Which::Last => nearby.rfind(|(.., last)| *last < today),
            Which::Next => nearby.into_iter().find(|(_, first, _)| *first > today),
            Which::This => {
                let mut nearby: Vec<_> = nearby.collect();
                nearby.retain(|(_, first, last)| {
                    (first..=last).contains(&&today) || first.year() == today.year()
                });
                let is_present = |(_, first, last): &&(_, NaiveDate, NaiveDate)| {
                    (first..=last).contains(&&today)
                };
                nearby.iter().find(is_present).or(nearby.last()).copied()
            }
        };
        found.map(|(reading, ..)| reading)
    }

    /// "two weeks before August 11, 2023", "the Sunday before May 3, 2023", "the
    /// day before yesterday".
    pub(super) fn anchored(&self, at: usize) -> Option<Expression> {
        let (amount, unit_at) = match self.quantity(at) {
            Some((amount, next)) => (Some(i64::from(amount)), next),
            None => (
                None,
                self.skip(at, |word| matches!(word, Word::Which(Which::Last))),
            ),
        };
        let counted = match self.word(unit_at)? {
            Word::Unit(unit) => Counted::Unit(unit),
            Word::Weekday(weekday) => Counted::Weekday(weekday),
            _ => return None,
        };
        let sign = match self.word(unit_at + 1)? {
            Word::Before => -1,
            word if word.is_after() => 1,
            _ => return None,
        };
        let anchor_at = self.skip(unit_at + 2, |word| matches!(word, Word::The));
        let is_before_last = sign < 0 && self.word(anchor_at) == Some(Word::Which(Which::Last));
        if is_before_last && let Some(found) = self.before_last(at, anchor_at, counted) {
            return Some(found);
        }
        let anchor = self.unanchored(anchor_at, false).or_else(|| {
            let is_which = matches!(self.word(anchor_at), Some(Word::Which(_)));
            is_which
                .then(|| self.unanchored(anchor_at + 1, false))
                .flatten()
        })?;
        let mut readings = Vec::new();
        for reading in &anchor.readings {
            let Period::Once { first, last } = reading.period else {
                return None;
            };
            let edge = if sign < 0 { first } else { last };
            readings.extend(counted.from(edge, sign, amount));
        }
        if anchor.is_calendar {
            readings.extend(&anchor.readings);
        }
        (!readings.is_empty()).then_some(Expression {
            tokens: at..anchor.tokens.end,
            readings,
            is_calendar: anchor.is_calendar,
        })
    }

    /// "the week before last".
    fn before_last(&self, at: usize, last_at: usize, counted: Counted) -> Option<Expression> {
        let Counted::Unit(unit) = counted else {
            return None;
        };
        let is_alone =
            self.relative(last_at).is_none() && self.unanchored(last_at + 1, false).is_none();
        let reading = calendar_unit(self.today, unit, -2).filter(|_| is_alone)?;
        Some(Expression::relative(at..last_at + 1, reading))
    }

    /// A number of units and the token after it: "2", "two", "a couple of".
    pub(super) fn quantity(&self, at: usize) -> Option<(u32, usize)> {
        if let Some((value, digits)) = self.number(at) {
            return (digits <= 4 && self.begins_number(at) && !self.is_glued(at + 1))
                .then_some((value, at + 1));
        }
        let at = match self.word(at)? {
            Word::Number(_) if matches!(self.word(at + 1), Some(Word::NumberOf(_))) => at + 1,
            _ => at,
        };
        match self.word(at)? {
            Word::Number(value) => Some((value, at + 1)),
            Word::NumberOf(value) => {
                Some((value, self.skip(at + 1, |word| matches!(word, Word::Of))))
            }
            _ => None,
        }
    }

    pub(super) fn unit(&self, at: usize) -> Option<Unit> {
        match self.word(at)? {
            Word::Unit(unit) => Some(unit),
            _ => None,
        }
    }
}

/// What is counted from an anchor.
#[derive(Clone, Copy)]
enum Counted {
    Unit(Unit),
    Weekday(u32),
}

impl Counted {
    /// The period that lies an amount before (−1) or after (1) a day.
    fn from(self, edge: NaiveDate, sign: i64, amount: Option<i64>) -> Option<Reading> {
        let adjacent = add_days(edge, sign)?;
        match (self, amount) {
            (Self::Weekday(weekday), _) if sign < 0 => {
                latest_weekday(adjacent, weekday).map(Reading::day)
            }
            (Self::Weekday(weekday), _) => {
                latest_weekday(add_days(edge, 7)?, weekday).map(Reading::day)
            }
            (Self::Unit(Unit::Weekend), _) => {
                // From the Sunday before it, or the Saturday after it.
                let saturday = if sign < 0 {
                    add_days(latest_weekday(adjacent, 6)?, -1)?
                } else {
                    latest_weekday(add_days(edge, 7)?, 5)?
                };
                let sunday = add_days(saturday, 1)?;
                Some(Reading::once(DatePrecision::Day, saturday, sunday))
            }
            (Self::Unit(unit @ (Unit::Week | Unit::Month)), None) => {
                let far = add_units(edge, unit, sign)?;
                let (first, last) = (far.min(adjacent), far.max(adjacent));
                Some(Reading::once(precision_of(first, last), first, last))
            }
            (Self::Unit(unit), amount) => around(edge, unit, sign * amount.unwrap_or(1)),
        }
    }
}

/// The period that is an amount of units away from a day, with the tolerance
/// that people round by.
fn around(from: NaiveDate, unit: Unit, amount: i64) -> Option<Reading> {
    let day = add_units(from, unit, amount)?;
    let within = |precision, days: i64| {
        let (first, last) = (add_days(day, -days)?, add_days(day, days)?);
        Some(Reading::once(precision, first, last))
    };
    match unit {
        Unit::Hour | Unit::Day => Some(Reading::day(day)),
        Unit::Week => within(DatePrecision::Week, WEEK_TOLERANCE),
        Unit::Weekend => calendar_unit(from, unit, amount),
        Unit::Month => within(DatePrecision::Month, MONTH_TOLERANCE),
        Unit::Year => year_reading(day.year()),
    }
}

/// The week, weekend, month or year of the calendar that is an amount of units
/// away from that of a day.
fn calendar_unit(from: NaiveDate, unit: Unit, amount: i64) -> Option<Reading> {
    let week = || add_days(monday_of(from)?, amount.checked_mul(7)?);
    match unit {
        Unit::Hour | Unit::Day => add_days(from, amount).map(Reading::day),
        Unit::Week => {
            let monday = week()?;
            let sunday = add_days(monday, 6)?;
            Some(Reading::once(DatePrecision::Week, monday, sunday))
        }
        Unit::Weekend => {
            let (saturday, sunday) = (add_days(week()?, 5)?, add_days(week()?, 6)?);
            Some(Reading::once(DatePrecision::Day, saturday, sunday))
        }
        Unit::Month => {
            let first = add_months(from.with_day(1)?, amount)?;
            let last = add_days(add_months(first, 1)?, -1)?;
            Some(Reading::once(DatePrecision::Month, first, last))
        }
        Unit::Year => year_reading(from.year().checked_add(i32::try_from(amount).ok()?)?),
    }
}

/// The precision of a range, by its length.
pub(super) fn precision_of(first: NaiveDate, last: NaiveDate) -> DatePrecision {
    match (last - first).num_days() {
        ..=1 => DatePrecision::Day,
        2..=10 => DatePrecision::Week,
        11..=35 => DatePrecision::Month,
        36..=100 => DatePrecision::Season,
        _ => DatePrecision::Year,
    }
}

/// The latest day up to `from` that is this weekday, 0 for Monday.
fn latest_weekday(from: NaiveDate, weekday: u32) -> Option<NaiveDate> {
    let days = (7 + from.weekday().num_days_from_monday() - weekday) % 7;
    add_days(from, -i64::from(days))
}

fn monday_of(day: NaiveDate) -> Option<NaiveDate> {
    add_days(day, -i64::from(day.weekday().num_days_from_monday()))
}

fn add_units(from: NaiveDate, unit: Unit, amount: i64) -> Option<NaiveDate> {
    match unit {
        Unit::Hour => Some(from),
        Unit::Day => add_days(from, amount),
        Unit::Week | Unit::Weekend => add_days(from, amount.checked_mul(7)?),
        Unit::Month => add_months(from, amount),
        Unit::Year => add_months(from, amount.checked_mul(12)?),
    }
}

fn add_days(from: NaiveDate, days: i64) -> Option<NaiveDate> {
    let distance = Days::new(days.unsigned_abs());
    if days < 0 {
        from.checked_sub_days(distance)
    } else {
        from.checked_add_days(distance)
    }
}

fn add_months(from: NaiveDate, months: i64) -> Option<NaiveDate> {
    let distance = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 {
        from.checked_sub_months(distance)
    } else {
        from.checked_add_months(distance)
    }
}
