//! How close a memory's time is to the dates that a question names.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::{DatePrecision, NamedDate};

/// Value of a memory of the named day, and of one of the named month, season and
/// year. A finer date says more.
///
/// Day, month and year, and the constants below, are those of the measurement
/// in docs/quality.md; week and season are between their neighbors.
const DAY: f32 = 1.5;
const WEEK: f32 = 1.25;
const MONTH: f32 = 1.0;
const SEASON: f32 = 0.75;
const YEAR: f32 = 0.5;

/// Share of that value for a memory before the named day or week, where it
/// begins: people rather tell afterward.
const BEFORE: f32 = 0.2;

/// Days over which the value of a day or week decays to 1/e.
const DECAY_DAYS: f32 = 10.0;

/// Share of the value of a month or season for a memory of the month after it.
const MONTH_AFTER: f32 = 0.4;

/// How close a memory's time is to the closest of a question's dates, 0 to 1.5;
/// 0 without dates.
///
/// | the question names | in it | after it | before it |
/// |---|---|---|---|
/// | a day | 1.5 | 1.5 · e^(−days / 10) | 0.3 · e^(−days / 10) |
/// | a week | 1.25 | 1.25 · e^(−days / 10) | 0.25 · e^(−days / 10) |
/// | a month | 1 | 0.4 in the month after it | 0 |
/// | a season | 0.75 | 0.3 in the month after it | 0 |
/// | a year | 0.5 | 0 | 0 |
///
/// A date without a year is that of the closest year.
#[must_use]
pub fn date_closeness(dates: &[NamedDate], time: DateTime<Utc>) -> f32 {
    if dates.is_empty() {
        return 0.0;
    }
    let day = time.date_naive();
    dates
        .iter()
        .map(|date| date.closeness(day))
        .fold(0.0, f32::max)
}

impl NamedDate {
    /// How close a day is to this date: see [`date_closeness`].
    #[must_use]
    pub fn closeness(&self, day: NaiveDate) -> f32 {
        let year = day.year();
        let years = match self.period {
            super::Period::Once { .. } => 0..=0,
            super::Period::Yearly { .. } => -1..=1,
        };
        years
            .filter_map(|offset| self.period.in_year(year.checked_add(offset)?))
            .map(|(first, last)| closeness(self.precision, first, last, day))
            .fold(0.0, f32::max)
    }
}

fn closeness(precision: DatePrecision, first: NaiveDate, last: NaiveDate, day: NaiveDate) -> f32 {
    match precision {
        DatePrecision::Day => DAY * decayed(first, last, day),
        DatePrecision::Week => WEEK * decayed(first, last, day),
        DatePrecision::Month => MONTH * in_or_month_after(first, last, day),
        DatePrecision::Season => SEASON * in_or_month_after(first, last, day),
        DatePrecision::Year if (first..=last).contains(&day) => YEAR,
        DatePrecision::Year => 0.0,
    }
}

fn decayed(first: NaiveDate, last: NaiveDate, day: NaiveDate) -> f32 {
    if day > last {
        decay(day - last)
    } else if day < first {
        BEFORE * decay(first - day)
    } else {
        1.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "days of a calendar are few")]
fn decay(distance: chrono::TimeDelta) -> f32 {
    (-(distance.num_days() as f32) / DECAY_DAYS).exp()
}

fn in_or_month_after(first: NaiveDate, last: NaiveDate, day: NaiveDate) -> f32 {
    if day < first {
        return 0.0;
    }
    if day <= last {
        return 1.0;
    }
    let next = last.checked_add_days(Days::new(1));
    let month_after = next.and_then(|next| next.checked_add_months(Months::new(1)));
    match month_after {
        Some(end) if day < end => MONTH_AFTER,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MonthDay, Period};
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn once(precision: DatePrecision, first: &str, last: &str) -> NamedDate {
        NamedDate {
            span: 0..0,
            precision,
            period: Period::Once {
                first: day(first),
                last: day(last),
            },
        }
    }

    fn yearly(precision: DatePrecision, first: (u32, u32), last: (u32, u32)) -> NamedDate {
        let month_day = |(month, day)| MonthDay { month, day };
        NamedDate {
            span: 0..0,
            precision,
            period: Period::Yearly {
                first: month_day(first),
                last: month_day(last),
            },
        }
    }

    #[track_caller]
    fn check(date: &NamedDate, expected: &[(&str, f32)]) {
        for (at, expected) in expected {
            let found = date.closeness(day(at));
            assert!(
                (found - expected).abs() < 1e-6,
                "{at}: {found}, not {expected}"
            );
        }
    }

    #[test]
    fn a_month_counts_for_itself_and_less_for_the_next() {
        let june = once(DatePrecision::Month, "2023-06-01", "2023-06-30");
        check(
            &june,
            &[
                ("2023-05-31", 0.0),
                ("2023-06-01", 1.0),
                ("2023-06-30", 1.0),
                ("2023-07-01", 0.4),
                ("2023-07-31", 0.4),
                ("2023-08-01", 0.0),
                ("2022-06-10", 0.0),
            ],
        );
        let february = once(DatePrecision::Month, "2023-02-01", "2023-02-28");
        check(&february, &[("2023-03-31", 0.4), ("2023-04-01", 0.0)]);
    }

    #[test]
    fn a_month_without_a_year_is_that_of_any_year() {
        let december = yearly(DatePrecision::Month, (12, 1), (12, 31));
        check(
            &december,
            &[
                ("2021-12-24", 1.0),
                ("2022-01-02", 0.4),
                ("2022-12-31", 1.0),
                ("2022-11-30", 0.0),
            ],
        );
        let february = yearly(DatePrecision::Month, (2, 1), (2, 29));
        check(
            &february,
            &[
                ("2023-02-28", 1.0),
                ("2024-02-29", 1.0),
                ("2023-03-01", 0.4),
            ],
        );
    }

    #[test]
    fn a_day_decays_on_both_sides() {
        let date = once(DatePrecision::Day, "2023-05-07", "2023-05-07");
        let e = (-1.0f32).exp();
        check(
            &date,
            &[
                ("2023-05-07", 1.5),
                ("2023-05-17", 1.5 * e),
                ("2023-04-27", 0.3 * e),
            ],
        );
        // The last day of a year is close to the first of the next.
        let yearly = yearly(DatePrecision::Day, (12, 31), (12, 31));
        check(&yearly, &[("2023-01-10", 1.5 * e), ("2022-12-31", 1.5)]);
    }

    #[test]
    fn weeks_seasons_and_years() {
        let week = once(DatePrecision::Week, "2023-06-05", "2023-06-11");
        let e = (-1.0f32).exp();
        check(
            &week,
            &[
                ("2023-06-08", 1.25),
                ("2023-06-21", 1.25 * e),
                ("2023-05-26", 0.25 * e),
            ],
        );
        let winter = yearly(DatePrecision::Season, (12, 1), (2, 29));
        check(
            &winter,
            &[
                ("2023-12-01", 0.75),
                ("2023-02-28", 0.75),
                ("2024-02-29", 0.75),
                ("2023-03-31", 0.3),
                ("2023-04-01", 0.0),
            ],
        );
        let year = once(DatePrecision::Year, "2023-01-01", "2023-12-31");
        check(
            &year,
            &[
                ("2023-01-01", 0.5),
                ("2022-12-31", 0.0),
                ("2024-01-01", 0.0),
            ],
        );
    }

    #[test]
    fn the_closest_date_counts() {
        let dates = [
            once(DatePrecision::Year, "2023-01-01", "2023-12-31"),
            once(DatePrecision::Month, "2023-06-01", "2023-06-30"),
        ];
        let time = |text: &str| text.parse().unwrap();
        assert_eq!(date_closeness(&dates, time("2023-06-30T23:59:59Z")), 1.0);
        assert_eq!(date_closeness(&dates, time("2023-01-01T00:00:00Z")), 0.5);
        assert_eq!(date_closeness(&[], time("2023-06-30T23:59:59Z")), 0.0);
    }
}
