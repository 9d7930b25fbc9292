//! Prints the dates that each line of the standard input names.
//!
//! ```console
//! $ echo "Where was I last week?" | cargo run -p memory-text --example dates -- 2023-06-14T00:00:00Z
//! ```
//!
//! The argument is the moment that relative dates refer to; now without one. A
//! line `[when]` or `[time]` before the dates says that the text asks for a date,
//! or has a word of time.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::io::BufRead;

use chrono::{DateTime, Utc};
use memory_text::dates::{asks_when, has_time_word, named_dates};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now: DateTime<Utc> = match std::env::args().nth(1) {
        Some(moment) => moment.parse()?,
        None => Utc::now(),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let dates = named_dates(&line, now);
        let (asks, tells) = (asks_when(&line), has_time_word(&line));
        println!(
            "{line}{}{}",
            if asks { " [when]" } else { "" },
            if tells { " [time]" } else { "" }
        );
        for date in dates {
            let words = line.get(date.span.clone()).unwrap_or_default();
            let (relation, precision, period) = (date.relation, date.precision, date.period);
            println!("  {words:?}: {relation:?} {precision:?} {period:?}");
        }
    }
    Ok(())
}
