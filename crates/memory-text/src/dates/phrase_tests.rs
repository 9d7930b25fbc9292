//! Phrases and what they mean: every form, and words that only look like one.

use chrono::{DateTime, Utc};

use super::{
    DatePrecision, DateRelation, MonthDay, NamedDate, Period, asks_when, has_time_word, named_dates,
};

/// A Wednesday.
const NOW: &str = "2023-06-14T15:00:00Z";

fn at(now: &str) -> DateTime<Utc> {
    now.parse().unwrap()
}

/// A date as the tables below write it: `day 2023-05-07`, `week 2023-06-05..11`,
/// `month *-06-01..30` for every year.
fn describe(date: &NamedDate) -> String {
    let precision = match date.precision {
        DatePrecision::Day => "day",
        DatePrecision::Week => "week",
        DatePrecision::Month => "month",
        DatePrecision::Season => "season",
        DatePrecision::Year => "year",
    };
    let month_day = |day: MonthDay| format!("*-{:02}-{:02}", day.month, day.day);
    let (first, last) = match date.period {
        Period::Once { first, last } => (first.to_string(), last.to_string()),
        Period::Yearly { first, last } => (month_day(first), month_day(last)),
    };
    let relation = match date.relation {
        DateRelation::In => "",
        DateRelation::Before => "before ",
        DateRelation::Until => "until ",
        DateRelation::Since => "since ",
        DateRelation::After => "after ",
    };
    if first == last {
        format!("{relation}{precision} {first}")
    } else {
        format!("{relation}{precision} {first}..{last}")
    }
}

fn found(text: &str, now: &str) -> Vec<String> {
    named_dates(text, at(now)).iter().map(describe).collect()
}

#[track_caller]
pub(super) fn check(phrases: &[(&str, &[&str])]) {
    let mut wrong = String::new();
    for (text, expected) in phrases {
        let found = found(text, NOW);
        if found != *expected {
            wrong += &format!("{text}\n  expected {expected:?}\n  found    {found:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn months() {
    check(&[
        (
            "When did Tam go camping in June?",
            &["month *-06-01..*-06-30"],
        ),
        ("What did we plant in may", &["month *-05-01..*-05-31"]),
        (
            "what happened in march 2022?",
            &["month 2022-03-01..2022-03-31"],
        ),
        ("in January, 2022", &["month 2022-01-01..2022-01-31"]),
        (
            "the trip of February 2024",
            &["month 2024-02-01..2024-02-29"],
        ),
        ("What about September?", &["month *-09-01..*-09-30"]),
        (
            "at the beginning of November 2022",
            &["month 2022-11-01..2022-11-30"],
        ),
        ("in early April", &["month *-04-01..*-04-30"]),
        ("since mid-August", &["since month *-08-01..*-08-31"]),
        (
            "What did I buy last May?",
            &["month 2023-05-01..2023-05-31"],
        ),
        ("Who came last July?", &["month 2022-07-01..2022-07-31"]),
        ("Who came last June?", &["month 2022-06-01..2022-06-30"]),
        ("plans for this June", &["month 2023-06-01..2023-06-30"]),
        ("next March", &["month 2024-03-01..2024-03-31"]),
        ("in May of last year", &["month 2022-05-01..2022-05-31"]),
        ("in Sept. 2021", &["month 2021-09-01..2021-09-30"]),
        ("in Dec", &["month *-12-01..*-12-31"]),
        ("in Oct '22", &["month 2022-10-01..2022-10-31"]),
        ("MAY 2023", &["month 2023-05-01..2023-05-31"]),
        ("notes from 2023-05", &["month 2023-05-01..2023-05-31"]),
        ("the invoice of 05/2023", &["month 2023-05-01..2023-05-31"]),
        ("on February 30", &["month *-02-01..*-02-29"]),
        ("on February 29, 2023", &["month 2023-02-01..2023-02-28"]),
        ("on 2023-02-30?", &["month 2023-02-01..2023-02-28"]),
        ("on 31/11/2023", &["month 2023-11-01..2023-11-30"]),
        ("on 11/31/2023", &["month 2023-11-01..2023-11-30"]),
        ("am 30.02.2024", &["month 2024-02-01..2024-02-29"]),
    ]);
}

#[test]
fn days() {
    check(&[
        ("on 2023-05-07", &["day 2023-05-07"]),
        ("at 2023-05-07T10:00:00Z", &["day 2023-05-07"]),
        ("on 2023/05/07.", &["day 2023-05-07"]),
        ("on 7 May 2023", &["day 2023-05-07"]),
        ("on 9 October, 2022?", &["day 2022-10-09"]),
        ("on May 7, 2023", &["day 2023-05-07"]),
        ("on May 7th", &["day *-05-07"]),
        ("May 7th 2023", &["day 2023-05-07"]),
        ("on December 1,2023 taken", &["day 2023-12-01"]),
        ("the 7th of May", &["day *-05-07"]),
        ("the 7th of May, 2021", &["day 2021-05-07"]),
        ("on the seventh of May", &["day *-05-07"]),
        ("on March third", &["day *-03-03"]),
        ("on 8th December, 2023", &["day 2023-12-08"]),
        ("on 3 june 2023", &["day 2023-06-03"]),
        ("on may 5?", &["day *-05-05"]),
        ("on may 5th we", &["day *-05-05"]),
        ("Sept. 3 and Oct 4", &["day *-09-03", "day *-10-04"]),
        ("7-May-2023", &["day 2023-05-07"]),
        ("on Feb 29, 2024", &["day 2024-02-29"]),
        ("on February 29", &["day *-02-29"]),
        ("on Friday, May 5th", &["day *-05-05"]),
        ("on Monday 8 May 2023", &["day 2023-05-08"]),
        ("on 5/7/2023", &["day 2023-05-07", "day 2023-07-05"]),
        ("on 5/5/2023", &["day 2023-05-05"]),
        ("on 13/5/2023", &["day 2023-05-13"]),
        ("on 5/13/23", &["day 2023-05-13"]),
        ("on 7.5.2023", &["day 2023-05-07"]),
        ("on 05-13-2023", &["day 2023-05-13"]),
        (
            "on 0999-01-01 or 9999-12-31",
            &["day 0999-01-01", "day 9999-12-31"],
        ),
        ("on May 7 of last year", &["day 2022-05-07"]),
        ("What did we eat on Christmas?", &["day *-12-25"]),
        ("Where was I last Halloween?", &["day 2022-10-31"]),
        ("(May 7, 2023)", &["day 2023-05-07"]),
    ]);
}

#[test]
fn years_and_seasons() {
    check(&[
        (
            "How often was she at the beach in 2023?",
            &["year 2023-01-01..2023-12-31"],
        ),
        ("since 2019", &["since year 2019-01-01..2019-12-31"]),
        ("in the year 1999", &["year 1999-01-01..1999-12-31"]),
        ("What changed last year?", &["year 2022-01-01..2022-12-31"]),
        ("this year", &["year 2023-01-01..2023-12-31"]),
        ("4 years ago", &["year 2019-01-01..2019-12-31"]),
        (
            "in 2021 and 2022",
            &["year 2021-01-01..2021-12-31", "year 2022-01-01..2022-12-31"],
        ),
        ("in spring", &["season *-03-01..*-05-31"]),
        ("in the fall of 2022", &["season 2022-09-01..2022-11-30"]),
        ("during the summer?", &["season *-06-01..*-08-31"]),
        ("in summer 2021", &["season 2021-06-01..2021-08-31"]),
        ("last summer", &["season 2022-06-01..2022-08-31"]),
        ("last spring", &["season 2023-03-01..2023-05-31"]),
        ("last winter", &["season 2022-12-01..2023-02-28"]),
        ("this summer", &["season 2023-06-01..2023-08-31"]),
        ("this winter", &["season 2023-12-01..2024-02-29"]),
        ("this past autumn", &["season 2022-09-01..2022-11-30"]),
        (
            "winter 2022",
            &[
                "season 2022-12-01..2023-02-28",
                "season 2021-12-01..2022-02-28",
            ],
        ),
    ]);
}

#[test]
fn relative_days_weeks_and_months() {
    check(&[
        ("What did I say yesterday?", &["day 2023-06-13"]),
        ("the day before yesterday", &["day 2023-06-12"]),
        ("Who called today?", &["day 2023-06-14"]),
        ("last night", &["day 2023-06-13"]),
        ("this morning", &["day 2023-06-14"]),
        ("tomorrow", &["day 2023-06-15"]),
        ("3 days ago", &["day 2023-06-11"]),
        ("an hour ago", &["day 2023-06-14"]),
        ("last Tuesday", &["day 2023-06-13"]),
        ("last Wednesday", &["day 2023-06-07"]),
        ("on Monday", &["day 2023-06-12"]),
        ("on Wednesday", &["day 2023-06-14"]),
        ("on Friday", &["day 2023-06-09"]),
        ("this Friday", &["day 2023-06-16"]),
        ("next Wednesday", &["day 2023-06-21"]),
        ("since Thursday", &["since day 2023-06-08"]),
        ("last week", &["week 2023-06-05..2023-06-11"]),
        ("this week", &["week 2023-06-12..2023-06-18"]),
        ("two weeks ago", &["week 2023-05-28..2023-06-03"]),
        ("a couple of weeks ago", &["week 2023-05-28..2023-06-03"]),
        ("the week before last", &["week 2023-05-29..2023-06-04"]),
        ("last weekend", &["day 2023-06-10..2023-06-11"]),
        ("over the weekend", &["day 2023-06-10..2023-06-11"]),
        ("this month", &["month 2023-06-01..2023-06-30"]),
        ("last month", &["month 2023-05-01..2023-05-31"]),
        ("two months ago", &["month 2023-03-30..2023-04-29"]),
        ("in the past three weeks", &["month 2023-05-24..2023-06-14"]),
        ("over the last few days", &["week 2023-06-11..2023-06-14"]),
        (
            "within the next two months",
            &["season 2023-06-14..2023-08-14"],
        ),
    ]);
}

#[test]
fn ranges_lists_and_anchors() {
    check(&[
        (
            "between August 11 and August 15 2023?",
            &["week 2023-08-11..2023-08-15"],
        ),
        ("August 11-15, 2023", &["week 2023-08-11..2023-08-15"]),
        ("from 3 to 7 May", &["week *-05-03..*-05-07"]),
        ("from May to July", &["season *-05-01..*-07-31"]),
        (
            "from December 2022 to January 2023",
            &["season 2022-12-01..2023-01-31"],
        ),
        ("in 2019-2021", &["year 2019-01-01..2021-12-31"]),
        (
            "in May or June 2022",
            &[
                "month 2022-05-01..2022-05-31",
                "month 2022-06-01..2022-06-30",
            ],
        ),
        (
            "in May, June and July",
            &[
                "month *-05-01..*-05-31",
                "month *-06-01..*-06-30",
                "month *-07-01..*-07-31",
            ],
        ),
        (
            "in December and January 2023",
            &[
                "month 2022-12-01..2022-12-31",
                "month 2023-01-01..2023-01-31",
            ],
        ),
        (
            "two weeks before August 11, 2023",
            &["week 2023-07-25..2023-07-31", "day 2023-08-11"],
        ),
        (
            "the week before 16 November 2023",
            &["week 2023-11-09..2023-11-15", "day 2023-11-16"],
        ),
        (
            "the Sunday before October 25, 2022",
            &["day 2022-10-23", "day 2022-10-25"],
        ),
        (
            "last weekend before April 10, 2023",
            &["day 2023-04-08..2023-04-09", "day 2023-04-10"],
        ),
        (
            "the day after May 7, 2023",
            &["day 2023-05-08", "day 2023-05-07"],
        ),
        ("in the second week of November", &["week *-11-08..*-11-14"]),
        (
            "the last week of February 2023",
            &["week 2023-02-23..2023-02-28"],
        ),
        (
            "the last Monday of May 2023",
            &["month 2023-05-01..2023-05-31"],
        ),
        (
            "yesterday and on 1 June 2023",
            &["day 2023-06-13", "day 2023-06-01"],
        ),
    ]);
}

/// The range is the same whatever year it is.
#[test]
fn the_length_of_a_range_does_not_depend_on_today() {
    for text in ["from February 29 to March 4", "from February 20 to March 1"] {
        let expected = found(text, "2024-06-14T00:00:00Z");
        assert_eq!(expected.len(), 1, "{text}");
        assert_eq!(found(text, NOW), expected, "{text}");
    }
}

#[test]
fn words_that_only_look_like_dates() {
    check(&[
        ("May I ask what she wants?", &[]),
        ("What may Tam do?", &[]),
        ("Which of the 2 may I take?", &[]),
        ("may 2 of us come?", &[]),
        ("this may be a problem", &[]),
        ("Where did they march to?", &[]),
        ("The army will march 5 miles", &[]),
        ("the women's march", &[]),
        ("What did April say?", &[]),
        ("Who is June's brother?", &[]),
        ("an august person", &[]),
        ("Who sat in the sun for a second?", &[]),
        ("What did Jan and Mar say on the sat phone?", &[]),
        ("Did he fall down the spring?", &[]),
        ("Where is the summer camp?", &[]),
        ("What is in summer camp food?", &[]),
        ("Where did we put the Christmas tree?", &[]),
        ("the gift on Christmas trees", &[]),
        ("Which team meets every Monday?", &[]),
        ("the Friday meeting", &[]),
        ("What happens on Monday mornings?", &[]),
        ("in 2000 meters", &[]),
        ("2048 games", &[]),
        ("room 2023", &[]),
        ("version 1.12.23 of v1.2.2023", &[]),
        ("the address 10.12.2023.4", &[]),
        ("3/4 of the cake, 24/7", &[]),
        ("a one-year-old child", &[]),
        ("How many weeks passed?", &[]),
        ("the last day", &[]),
        ("the last time", &[]),
        ("long ago", &[]),
        ("call 555-2023-11", &[]),
        ("on 2023-13-01 or 2023-02-32", &[]),
        ("the error in 20231", &[]),
        ("$2023 in 2023$", &[]),
        ("in the second half", &[]),
        ("second to none", &[]),
        ("", &[]),
    ]);
}

#[test]
fn german() {
    check(&[
        ("Was war im Mai?", &["month *-05-01..*-05-31"]),
        ("im März 2022", &["month 2022-03-01..2022-03-31"]),
        ("am 7. Mai 2023", &["day 2023-05-07"]),
        ("am 3. Oktober", &["day *-10-03"]),
        ("am 07.05.2023", &["day 2023-05-07"]),
        ("vor zwei Wochen", &["week 2023-05-28..2023-06-03"]),
        ("vor einem Jahr", &["year 2022-01-01..2022-12-31"]),
        ("Was habe ich gestern gegessen?", &["day 2023-06-13"]),
        ("vorgestern", &["day 2023-06-12"]),
        ("letzte Woche", &["week 2023-06-05..2023-06-11"]),
        ("letzten Dienstag", &["day 2023-06-13"]),
        ("am Montag", &["day 2023-06-12"]),
        ("im Sommer 2021", &["season 2021-06-01..2021-08-31"]),
        ("letzten Sommer", &["season 2022-06-01..2022-08-31"]),
        ("diesen Monat", &["month 2023-06-01..2023-06-30"]),
        ("am Wochenende", &["day 2023-06-10..2023-06-11"]),
        ("im Jahr 2020", &["year 2020-01-01..2020-12-31"]),
        (
            "zwischen dem 3. Mai und dem 7. Mai 2023",
            &["week 2023-05-03..2023-05-07"],
        ),
        ("an Weihnachten 2022", &["day 2022-12-25"]),
        ("Er hat 3 Äpfel und 2000 Euro", &[]),
    ]);
}

#[test]
fn spans_are_those_of_the_expression() {
    let text = "Où étions-nous 🐎 on May 7th, 2023, and in übermorgen?";
    let dates = named_dates(text, at(NOW));
    let spans: Vec<_> = dates.iter().map(|date| &text[date.span.clone()]).collect();
    assert_eq!(spans, ["May 7th, 2023", "übermorgen"]);
}

#[test]
fn now_at_the_ends_of_months_and_years() {
    for (now, text, expected) in [
        ("2024-01-01T00:00:00Z", "yesterday", "day 2023-12-31"),
        (
            "2024-01-01T00:00:00Z",
            "last month",
            "month 2023-12-01..2023-12-31",
        ),
        (
            "2024-01-01T00:00:00Z",
            "last week",
            "week 2023-12-25..2023-12-31",
        ),
        (
            "2024-03-31T00:00:00Z",
            "a month ago",
            "month 2024-02-14..2024-03-15",
        ),
        (
            "2024-02-29T00:00:00Z",
            "a year ago",
            "year 2023-01-01..2023-12-31",
        ),
        ("2024-02-29T00:00:00Z", "yesterday", "day 2024-02-28"),
        ("2024-03-01T00:00:00Z", "yesterday", "day 2024-02-29"),
        (
            "2024-01-15T00:00:00Z",
            "this winter",
            "season 2023-12-01..2024-02-29",
        ),
        (
            "2024-01-15T00:00:00Z",
            "last winter",
            "season 2022-12-01..2023-02-28",
        ),
        (
            "2024-01-15T00:00:00Z",
            "last summer",
            "season 2023-06-01..2023-08-31",
        ),
        (
            "2023-06-18T23:59:59Z",
            "this weekend",
            "day 2023-06-17..2023-06-18",
        ),
        ("2023-06-18T23:59:59Z", "last Sunday", "day 2023-06-11"),
    ] {
        assert_eq!(found(text, now), [expected], "{text} at {now}");
    }
}

#[test]
fn questions_that_ask_for_a_date() {
    for text in [
        "When did Tam buy the horse?",
        "when is the wedding",
        "On which day did she call?",
        "In what year did we move?",
        "Which month was John in Italy?",
        "What was the exact date of the trip?",
        "How long ago was the concert?",
        "Do you remember when Maria moved?",
        "Tell me when the shop opened.",
        "Since when?",
        "When Tam has lost his job?",
        "Wann war das?",
        "An welchem Tag kam er?",
    ] {
        assert!(asks_when(text), "{text}");
    }
    for text in [
        "What did John say when he fell?",
        "When I was in Rome, what did I eat?",
        "Who called yesterday?",
        "What did they update?",
        "How long did it take?",
        "What does Tam eat?",
        "Which horse did Tam buy?",
        "",
    ] {
        assert!(!asks_when(text), "{text}");
    }
}

#[test]
fn texts_with_words_of_time() {
    for text in [
        "I went there last Tuesday.",
        "We met on 7 May 2023.",
        "Two years ago we moved.",
        "See you tomorrow!",
        "I was hiking this weekend.",
        "In 2019 I began to paint.",
        "Letzte Woche war ich krank.",
    ] {
        assert!(has_time_word(text), "{text}");
    }
    for text in [
        "Tam likes horses.",
        "It may be the second one.",
        "She sat in the sun.",
        "I have 2000 friends.",
        "The last time was fun.",
        "",
    ] {
        assert!(!has_time_word(text), "{text}");
    }
}
