//! How close a memory's time is to the dates that a question names.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};

use super::{DatePrecision, DateRelation, NamedDate, Period};

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

/// Share of the value for a memory at any distance on the side that is meant; nearer memories get
/// more.
const FAR_SHARE: f32 = 0.5;

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
/// Where the question asks for the times around a date, those of that side have between
/// all and half of its value, and others nothing:
///
/// | the question names | the date itself | on that side |
/// |---|---|---|
/// | before, after | 0 | value · (½ + ½ · e^(−days from the date / d)) |
/// | until, by, since | value | value · (½ + ½ · e^(−days from the date / d)) |
///
/// `d` is 10 for a day or week, and for others about their length: 30, 90 and 365. The days
/// next to the date count as 0 days from it for "before" and "after".
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
            Period::Once { .. } => 0..=0,
            Period::Yearly { .. } => -1..=1,
        };
        let periods = years.filter_map(|offset| self.period.in_year(year.checked_add(offset)?));
        if self.relation == DateRelation::In {
            let closeness = |(first, last)| closeness(self.precision, first, last, day);
            return periods.map(closeness).fold(0.0, f32::max);
        }
        // Every time is before a May and after another one.
        let distance = |(first, last): &(NaiveDate, NaiveDate)| {
            (*first - day).max(day - *last).max(TimeDelta::zero())
        };
        periods.min_by_key(distance).map_or(0.0, |(first, last)| {
            value(self.precision) * open_share(self.precision, self.relation, first, last, day)
        })
    }
}

fn value(precision: DatePrecision) -> f32 {
    match precision {
        DatePrecision::Day => DAY,
        DatePrecision::Week => WEEK,
        DatePrecision::Month => MONTH,
        DatePrecision::Season => SEASON,
        DatePrecision::Year => YEAR,
    }
}

/// The share of a date's value for a day on one side of it, or in it.
fn open_share(
    precision: DatePrecision,
    relation: DateRelation,
    first: NaiveDate,
    last: NaiveDate,
    day: NaiveDate,
) -> f32 {
    let decay_days = match precision {
        DatePrecision::Day | DatePrecision::Week => DECAY_DAYS,
        DatePrecision::Month => 30.0,
        DatePrecision::Season => 90.0,
        DatePrecision::Year => 365.0,
    };
    let (before, after) = (first - day, day - last);
    let next = TimeDelta::days(1);
    let distance = match relation {
        DateRelation::Before => before - next,
        DateRelation::After => after - next,
        DateRelation::Until if after <= TimeDelta::zero() => before.max(TimeDelta::zero()),
        DateRelation::Since if before <= TimeDelta::zero() => after.max(TimeDelta::zero()),
        _ => return 0.0,
    };
    if distance < TimeDelta::zero() {
        return 0.0;
    }
    FAR_SHARE + (1.0 - FAR_SHARE) * decay(distance, decay_days)
}

fn closeness(precision: DatePrecision, first: NaiveDate, last: NaiveDate, day: NaiveDate) -> f32 {
    match precision {
        DatePrecision::Day | DatePrecision::Week => value(precision) * decayed(first, last, day),
        DatePrecision::Month | DatePrecision::Season => {
            value(precision) * in_or_month_after(first, last, day)
        }
        DatePrecision::Year if (first..=last).contains(&day) => YEAR,
        DatePrecision::Year => 0.0,
    }
}

fn decayed(first: NaiveDate, last: NaiveDate, day: NaiveDate) -> f32 {
    if day > last {
        decay(day - last, DECAY_DAYS)
    } else if day < first {
        BEFORE * decay(first - day, DECAY_DAYS)
    } else {
        1.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "days of a calendar are few")]
fn decay(distance: TimeDelta, decay_days: f32) -> f32 {
    (-(distance.num_days() as f32) / decay_days).exp()
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
    use super::super::MonthDay;
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
            relation: DateRelation::In,
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
            relation: DateRelation::In,
        }
    }

    fn with(relation: DateRelation, date: NamedDate) -> NamedDate {
        NamedDate { relation, ..date }
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
    fn before_and_after_exclude_the_date_and_until_and_since_include_it() {
        let date = || once(DatePrecision::Day, "2023-01-05", "2023-01-05");
        let near = |days: f32| 1.5 * (0.5 + 0.5 * (-days / 10.0).exp());
        for (relation, expected) in [
            (DateRelation::Before, [near(90.0), near(0.0), 0.0, 0.0, 0.0]),
            (DateRelation::Until, [near(91.0), near(1.0), 1.5, 0.0, 0.0]),
            (DateRelation::Since, [0.0, 0.0, 1.5, near(1.0), near(95.0)]),
            (DateRelation::After, [0.0, 0.0, 0.0, near(0.0), near(94.0)]),
        ] {
            let days = [
                "2022-10-06",
                "2023-01-04",
                "2023-01-05",
                "2023-01-06",
                "2023-04-10",
            ];
            let expected: Vec<_> = days.into_iter().zip(expected).collect();
            check(&with(relation, date()), &expected);
        }
    }

    #[test]
    fn before_and_since_a_month_and_a_year() {
        let may = || once(DatePrecision::Month, "2023-05-01", "2023-05-31");
        let e = (-1.0f32).exp();
        check(
            &with(DateRelation::Before, may()),
            &[
                ("2023-04-30", 1.0),
                ("2023-03-31", 0.5 + 0.5 * e),
                ("2023-05-01", 0.0),
                ("2023-06-01", 0.0),
            ],
        );
        let year = || once(DatePrecision::Year, "2019-01-01", "2019-12-31");
        check(
            &with(DateRelation::Since, year()),
            &[
                ("2018-12-31", 0.0),
                ("2019-06-01", 0.5),
                ("2020-12-30", 0.25 + 0.25 * e),
            ],
        );
    }

    #[test]
    fn before_a_date_without_a_year_is_before_the_closest() {
        let date = || yearly(DatePrecision::Day, (1, 5), (1, 5));
        check(
            &with(DateRelation::Before, date()),
            &[
                ("2022-01-04", 1.5),
                ("2023-01-04", 1.5),
                ("2023-01-05", 0.0),
                ("2023-01-06", 0.0),
                ("2023-03-05", 0.0),
            ],
        );
        let since = with(DateRelation::Since, date());
        check(&since, &[("2023-01-04", 0.0), ("2023-01-05", 1.5)]);
        assert!(since.closeness(day("2023-05-05")) > 0.75);
        // Over the end of a year.
        let winter = yearly(DatePrecision::Season, (12, 1), (2, 29));
        let after = with(DateRelation::After, winter);
        check(&after, &[("2023-01-10", 0.0), ("2023-03-01", 0.75)]);
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
