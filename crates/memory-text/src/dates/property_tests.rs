//! Properties that hold for every text and every moment.

use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Utc};
use proptest::prelude::*;

use super::{
    DatePrecision, DateRelation, MonthDay, NamedDate, Period, asks_when, date_closeness,
    has_time_word, named_dates,
};

/// Words that begin, continue or end expressions, in an order of chance.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "in",
            "on",
            "last",
            "next",
            "this",
            "the",
            "of",
            "May",
            "march",
            "Sept.",
            "spring",
            "winter",
            "week",
            "years",
            "ago",
            "before",
            "since",
            "until",
            "through",
            "following",
            "not",
            "or",
            "up to",
            "from",
            "by",
            "prior to",
            "end",
            "after",
            "between",
            "and",
            "to",
            "-",
            "/",
            ".",
            ",",
            "'",
            "7th",
            "31",
            "29",
            "2023",
            "0001",
            "9999",
            "99999999999",
            "0",
            "two",
            "a",
            "couple",
            "Monday",
            "yesterday",
            "Christmas",
            "vor",
            "letzten",
            "7.",
            "März",
            "Jahr",
            "🐎",
            "\u{301}",
            "second",
            "first",
            "weekend",
            "night",
            "February",
            "00",
        ])
        .prop_map(str::to_owned),
        "[0-9]{1,5}",
        "\\PC{0,3}",
    ];
    let separator = prop::sample::select(vec![" ", "", ", ", "\u{a0}"]);
    prop::collection::vec((piece, separator), 0..14).prop_map(|pieces| {
        let joined = pieces
            .iter()
            .map(|(piece, separator)| format!("{piece}{separator}"));
        joined.collect()
    })
}

fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    let seconds = prop_oneof![
        -62_135_596_800i64..253_402_300_799,
        Just(DateTime::<Utc>::MIN_UTC.timestamp()),
        Just(DateTime::<Utc>::MAX_UTC.timestamp()),
    ];
    seconds.prop_map(|seconds| Utc.timestamp_opt(seconds, 0).single().unwrap_or_default())
}

fn days() -> impl Strategy<Value = NaiveDate> {
    (1i32..=9_999, 1u32..=366).prop_filter_map("no such day", |(year, ordinal)| {
        NaiveDate::from_yo_opt(year, ordinal)
    })
}

fn check(text: &str, now: DateTime<Utc>, time: DateTime<Utc>) -> Result<(), TestCaseError> {
    let dates = named_dates(text, now);
    for NamedDate { span, period, .. } in &dates {
        let slice = text.get(span.clone());
        prop_assert!(slice.is_some_and(|slice| !slice.is_empty()), "{span:?}");
        match period {
            Period::Once { first, last } => prop_assert!(first <= last),
            Period::Yearly { first, last } => {
                for MonthDay { month, day } in [first, last] {
                    prop_assert!((1..=12).contains(month) && (1..=31).contains(day));
                }
            }
        }
    }
    let starts: Vec<_> = dates.iter().map(|date| date.span.start).collect();
    prop_assert!(starts.is_sorted());
    let closeness = date_closeness(&dates, time);
    prop_assert!((0.0..=1.5).contains(&closeness), "{closeness}");
    // Neither panics.
    let _ = (has_time_word(text), asks_when(text));
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(
        text in "\\PC{0,60}", now in moments(), time in moments(),
    ) {
        check(&text, now, time)?;
    }

    #[test]
    fn any_sequence_of_date_words_is_read_without_a_panic(
        text in pieces(), now in moments(), time in moments(),
    ) {
        check(&text, now, time)?;
    }

    #[test]
    fn a_written_day_is_found_and_closest_to_itself(day in days(), now in moments()) {
        let month = [
            "January", "February", "March", "April", "May", "June", "July", "August",
            "September", "October", "November", "December",
        ][day.month0() as usize];
        let (y, m, d) = (day.year(), day.month(), day.day());
        for text in [
            format!("What happened on {y:04}-{m:02}-{d:02}?"),
            format!("What happened on {d}.{m}.{y:04}?"),
            format!("What happened on {month} {d}, {y:04}?"),
            format!("What happened on {d} {month} {y:04}?"),
            format!("what happened on the {d}th of {}, {y:04}", month.to_lowercase()),
        ] {
            let dates = named_dates(&text, now);
            let expected = Period::Once { first: day, last: day };
            prop_assert_eq!(dates.len(), 1, "{}: {:?}", text, dates);
            prop_assert_eq!(dates[0].period, expected, "{}", text);
            prop_assert_eq!(dates[0].precision, DatePrecision::Day);
            prop_assert_eq!(dates[0].closeness(day), 1.5);
        }
    }

    #[test]
    fn closeness_falls_with_the_distance_from_a_day(day in days(), distance in 0u64..400) {
        let date = NamedDate {
            span: 0..0,
            precision: DatePrecision::Day,
            period: Period::Once { first: day, last: day },
            relation: DateRelation::In,
        };
        let later = |days| date.closeness(day + chrono::Days::new(days));
        let earlier = |days| date.closeness(day - chrono::Days::new(days));
        prop_assert!(later(distance + 1) < later(distance));
        prop_assert!(earlier(distance + 2) < earlier(distance + 1));
        prop_assert!(earlier(distance + 1) < later(distance + 1));
    }

    #[test]
    fn a_yearly_period_is_in_every_year(month in 1u32..=12, year in 1i32..=9_998) {
        let last = NaiveDate::from_ymd_opt(2024, month, 1).unwrap() + chrono::Months::new(1);
        let last = MonthDay { month, day: last.pred_opt().unwrap().day() };
        let period = Period::Yearly { first: MonthDay { month, day: 1 }, last };
        let (first, last) = period.in_year(year).unwrap();
        prop_assert_eq!((first.month(), first.day()), (month, 1));
        prop_assert_eq!(last.succ_opt().unwrap().day(), 1);
    }
}
