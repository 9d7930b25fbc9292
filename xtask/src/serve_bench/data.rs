//! The texts to store and the questions to ask.

use std::path::Path;

use serde_json::{Value, json};

use super::BenchError;
use crate::error::TaskError;
use crate::shell;

/// The turns of the first four conversations of LoCoMo's development part.
const TURNS: usize = 2_080;

/// Texts of the short form.
const GENERATED: usize = 200;

pub(super) struct Data {
    pub(super) texts: Vec<String>,
    pub(super) questions: Vec<String>,
    pub(super) is_generated: bool,
}

impl Data {
    /// The first turns of a file in the LoCoMo format, as `speaker: text`, and the
    /// questions about their conversations.
    pub(super) fn read(path: &Path) -> Result<Self, TaskError> {
        let text = shell::read_text(path)?;
        let file: Value = serde_json::from_str(&text).map_err(|_| BenchError::NoConversations)?;
        let (mut texts, mut questions) = (Vec::new(), Vec::new());
        for sample in file.as_array().into_iter().flatten() {
            if texts.len() >= TURNS {
                break;
            }
            for number in 1.. {
                let name = format!("session_{number}");
                let conversation = &sample["conversation"];
                if conversation.get(format!("{name}_date_time")).is_none() {
                    break;
                }
                let turns = conversation[&name].as_array().into_iter().flatten();
                texts.extend(turns.filter_map(content));
            }
            let asked = sample["qa"].as_array().into_iter().flatten();
            questions.extend(asked.filter_map(|qa| Some(qa["question"].as_str()?.to_owned())));
        }
        texts.truncate(TURNS);
        if texts.is_empty() || questions.is_empty() {
            return Err(BenchError::NoConversations.into());
        }
        questions.sort();
        questions.dedup();
        Ok(Self {
            texts,
            questions,
            is_generated: false,
        })
    }

    /// Short sentences, for the short form and where there is no file.
    pub(super) fn generate() -> Self {
        const NAMES: [&str; 5] = ["Mira", "Tam", "Edda", "Jonas", "Ruth"];
        const PLACES: [&str; 7] = [
            "market", "mill", "bridge", "harbor", "forge", "chapel", "orchard",
        ];
        const THINGS: [&str; 3] = [
            "a lame horse",
            "two sacks of flour",
            "the news from the coast",
        ];
        let text = |number: usize| {
            let name = NAMES[number % NAMES.len()];
            let (place, thing) = (PLACES[number % PLACES.len()], THINGS[number % THINGS.len()]);
            format!("{name}: On day {number} I went to the {place} about {thing}.")
        };
        let question = |number: usize| {
            let (name, place) = (NAMES[number % NAMES.len()], PLACES[number % PLACES.len()]);
            format!("What did {name} want at the {place} on day {number}?")
        };
        Self {
            texts: (0..GENERATED).map(text).collect(),
            questions: (0..GENERATED / 4).map(question).collect(),
            is_generated: true,
        }
    }

    /// A text as a line of an import, a quarter of an hour after the one before it.
    pub(super) fn line(number: usize, text: &str) -> Value {
        let (day, quarter) = (number / 96, number % 96);
        let timestamp = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:00Z",
            2023 + day / 336,
            1 + day / 28 % 12,
            1 + day % 28,
            quarter / 4,
            quarter % 4 * 15
        );
        let speaker = text.split(':').next().unwrap_or_default();
        json!({"content": text, "timestamp": timestamp, "tags": [speaker]})
    }
}

/// What a turn says, with what its picture shows.
fn content(turn: &Value) -> Option<String> {
    let (speaker, text) = (turn["speaker"].as_str()?, turn["text"].as_str()?);
    Some(match turn["blip_caption"].as_str() {
        Some(caption) => format!("{speaker}: {text} [{caption}]"),
        None => format!("{speaker}: {text}"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn turns_and_questions_of_conversations_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sample = json!([{
            "conversation": {
                "session_1_date_time": "1:56 pm on 8 May, 2023",
                "session_1": [
                    {"speaker": "Tam", "text": "I sold the horse.", "blip_caption": "a horse"},
                    {"speaker": "Edda", "text": "Good."}
                ],
                "session_2_date_time": "2:00 pm on 9 May, 2023"
            },
            "qa": [{"question": "What did Tam sell?"}, {"question": "What did Tam sell?"}]
        }]);
        std::fs::write(file.path(), sample.to_string()).unwrap();
        let data = Data::read(file.path()).unwrap();
        assert_eq!(
            data.texts,
            ["Tam: I sold the horse. [a horse]", "Edda: Good."]
        );
        assert_eq!(data.questions, ["What did Tam sell?"]);
        std::fs::write(file.path(), "[]").unwrap();
        assert!(Data::read(file.path()).is_err());
    }

    #[test]
    fn generated_texts_and_their_times_are_distinct() {
        let data = Data::generate();
        let distinct: BTreeSet<_> = data.texts.iter().collect();
        assert_eq!(distinct.len(), GENERATED);
        let time = |number| Data::line(number, "Tam: Rain.")["timestamp"].to_string();
        let times: BTreeSet<String> = (0..100_000).map(time).collect();
        assert_eq!(times.len(), 100_000);
        assert_eq!(time(0), r#""2023-01-01T00:00:00Z""#);
        assert_eq!(time(96 * 336 + 97), r#""2024-01-02T00:15:00Z""#);
    }
}
