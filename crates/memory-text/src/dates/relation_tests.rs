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
        ("through May 2023", &["until month 2023-05-01..2023-05-31"]),
        ("since Christmas", &["since day *-12-25"]),
        (
            "since the year 2019",
            &["since year 2019-01-01..2019-12-31"],
        ),
        ("before last week", &["before week 2023-06-05..2023-06-11"]),
        ("after the weekend", &["after day 2023-06-10..2023-06-11"]),
        ("following yesterday", &["after day 2023-06-13"]),
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
