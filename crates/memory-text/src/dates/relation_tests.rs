//! Phrases of the times around a date: "before May", "since last week".

use super::phrase_tests::check;

#[test]
fn before_until_since_and_after() {
    check(&[
        ("What did I do before January 5?", &["before day *-01-05"]),
        ("after January 5th, 2023", &["after day 2023-01-05"]),
        ("who came before 2023-05-07", &["before day 2023-05-07"]),
        (
            "before May, and after the summer?",
            &[
                "before month *-05-01..*-05-31",
                "after season *-06-01..*-08-31",
            ],
        ),
        ("prior to 2020", &["before year 2020-01-01..2020-12-31"]),
        ("what had we sold by the 7th of May", &["until day *-05-07"]),
        ("until 2020", &["until year 2020-01-01..2020-12-31"]),
        ("since Christmas", &["since day *-12-25"]),
        (
            "since the year 2019",
            &["since year 2019-01-01..2019-12-31"],
        ),
        ("before last week", &["before week 2023-06-05..2023-06-11"]),
        ("after the weekend", &["after day 2023-06-10..2023-06-11"]),
        (
            "since two weeks ago",
            &["since week 2023-05-28..2023-06-03"],
        ),
        ("before Friday, May 5th", &["before day *-05-05"]),
        ("two days before May 7", &["before day *-05-07"]),
        (
            "before May 3 or May 5 2023",
            &["before day 2023-05-03", "before day 2023-05-05"],
        ),
        (
            "before 5/7/2023",
            &["before day 2023-05-07", "before day 2023-07-05"],
        ),
        // Nobody knows the days of a part: all of it is included.
        (
            "before the end of May 2023",
            &["until month 2023-05-01..2023-05-31"],
        ),
        ("after early May", &["since month *-05-01..*-05-31"]),
        (
            "before the end of the year 2022",
            &["until year 2022-01-01..2022-12-31"],
        ),
        // Nor is what happens with a day after it.
        ("after the May 5 meeting", &["since day *-05-05"]),
        ("before yesterday's call", &["until day 2023-06-13"]),
        // Two ends are a range.
        ("from May 3 until May 7", &["week *-05-03..*-05-07"]),
        ("from 2019 to 2021", &["year 2019-01-01..2021-12-31"]),
    ]);
}

/// Otherwise all of the past would be meant.
#[test]
fn the_end_of_a_range_that_is_none_of_days_is_that_date() {
    check(&[
        (
            "What did I do from Monday until Friday?",
            &["day 2023-06-09"],
        ),
        ("Was war vom Montag bis Freitag?", &["day 2023-06-09"]),
        ("from Monday, the 12th, until Friday", &["day 2023-06-09"]),
        ("from the morning until Friday", &["day 2023-06-09"]),
        (
            "from yesterday until Friday",
            &["day 2023-06-13", "day 2023-06-09"],
        ),
        (
            "from May 2023 until June",
            &["month 2023-05-01..2023-05-31", "month *-06-01..*-06-30"],
        ),
        (
            "from May 2023 up to June 5",
            &["month 2023-05-01..2023-05-31", "day *-06-05"],
        ),
        // Of the beginning, what is later is meant.
        (
            "since May 2023 until June",
            &[
                "since month 2023-05-01..2023-05-31",
                "month *-06-01..*-06-30",
            ],
        ),
        ("since May 3 until May 7", &["week *-05-03..*-05-07"]),
        ("ab dem 3. Mai bis zum 7. Mai", &["week *-05-03..*-05-07"]),
        ("after May 3-7", &["after week *-05-03..*-05-07"]),
        // No range.
        (
            "the letters from Tam until Friday",
            &["until day 2023-06-09"],
        ),
        (
            "It is from Monday. What was until Friday?",
            &["until day 2023-06-09"],
        ),
    ]);
}

#[test]
fn through_continues_a_range_and_is_during_otherwise() {
    check(&[
        ("May 3 through May 7", &["week *-05-03..*-05-07"]),
        ("from 2019 thru 2021", &["year 2019-01-01..2021-12-31"]),
        (
            "How did we get through the winter?",
            &["season *-12-01..*-02-29"],
        ),
        ("all through 2020", &["year 2020-01-01..2020-12-31"]),
        ("what did we do through May?", &["month *-05-01..*-05-31"]),
    ]);
}

#[test]
fn following_is_after_but_not_behind_an_article() {
    check(&[
        ("What happened the following Monday?", &["day 2023-06-12"]),
        ("the following May", &["month *-05-01..*-05-31"]),
        ("the following weekend", &["day 2023-06-10..2023-06-11"]),
        ("a following summer", &["season *-06-01..*-08-31"]),
        ("What happened following May 5?", &["after day *-05-05"]),
        ("following the summer", &["after season *-06-01..*-08-31"]),
        (
            "the day following May 5, 2023",
            &["day 2023-05-06", "day 2023-05-05"],
        ),
    ]);
}

#[test]
fn what_is_said_together_with_before_and_after() {
    check(&[
        ("on or after May 5", &["since day *-05-05"]),
        ("on or before Monday", &["until day 2023-06-12"]),
        ("in or after 2020", &["since year 2020-01-01..2020-12-31"]),
        ("before or on May 5", &["until day *-05-05"]),
        ("am oder nach dem 5. Mai", &["since day *-05-05"]),
        ("vor oder am 5. Mai", &["until day *-05-05"]),
        ("not before May 5", &["since day *-05-05"]),
        ("nicht vor dem 5. Mai", &["since day *-05-05"]),
        ("not prior to May 5", &["since day *-05-05"]),
        ("not after May 5", &["until day *-05-05"]),
        ("not until May 5", &["since day *-05-05"]),
        ("not since May 5", &["day *-05-05"]),
        ("since or after May 5", &["since day *-05-05"]),
        ("by or before May 5", &["until day *-05-05"]),
        ("before and after Christmas", &["day *-12-25"]),
        ("after and before Christmas", &["day *-12-25"]),
        ("up to May 5", &["until day *-05-05"]),
        ("What was she up to yesterday?", &["day 2023-06-13"]),
    ]);
}

#[test]
fn before_until_since_and_after_in_german() {
    check(&[
        ("vor dem 5. Januar", &["before day *-01-05"]),
        (
            "vor September 2022",
            &["before month 2022-09-01..2022-09-30"],
        ),
        ("vorm Sommer", &["before season *-06-01..*-08-31"]),
        ("vor letzter Woche", &["before week 2023-06-05..2023-06-11"]),
        ("vor zwei Wochen", &["week 2023-05-28..2023-06-03"]),
        ("nach dem 07.05.2023", &["after day 2023-05-07"]),
        ("nach Weihnachten", &["after day *-12-25"]),
        ("seit 2019", &["since year 2019-01-01..2019-12-31"]),
        ("seit dem Jahr 2019", &["since year 2019-01-01..2019-12-31"]),
        ("ab Mai 2022", &["since month 2022-05-01..2022-05-31"]),
        ("bis Montag", &["until day 2023-06-12"]),
        ("bis zum 5. Mai", &["until day *-05-05"]),
        ("vor Ende Mai", &["until month *-05-01..*-05-31"]),
        ("vom 3. Mai bis zum 7. Mai", &["week *-05-03..*-05-07"]),
    ]);
}
