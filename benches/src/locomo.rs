//! Conversations in the LoCoMo format (Maharana et al., "Evaluating Very
//! Long-Term Conversational Memory of LLM Agents", ACL 2024).
//!
//! Scored without a language model: one memory per turn; the score of a question
//! is the share of its evidence among the first k recalled memories.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};
use memory::{MemoryBatchItem, MemoryKind};
use serde::Deserialize;
use serde_json::Value;

/// The category of questions that have no answer in the conversation.
const UNANSWERABLE: u8 = 5;

/// One conversation, ready to be retained and asked about.
#[derive(Debug)]
pub struct Conversation {
    /// Its name, which is also its entity.
    pub name: String,
    /// One memory per turn, in the order of the turns.
    pub turns: Vec<MemoryBatchItem>,
    /// The time of its last session, for the clock.
    pub end: DateTime<Utc>,
    /// The questions, with the turns that answer them.
    pub questions: Vec<Question>,
    /// Questions that nothing in the conversation answers. Their evidence is the
    /// turn that they misquote, such as one of another speaker.
    pub unanswerable: Vec<Question>,
}

/// A question and its evidence.
#[derive(Debug)]
pub struct Question {
    /// The question.
    pub text: String,
    /// 1 multi-hop, 2 temporal, 3 open domain, 4 single-hop, 5 unanswerable.
    pub category: u8,
    /// The `dia_id`s of the turns that answer it; at least one unless it is
    /// unanswerable.
    pub evidence: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Sample {
    sample_id: String,
    conversation: BTreeMap<String, Value>,
    qa: Vec<RawQuestion>,
}

#[derive(Deserialize)]
struct RawQuestion {
    question: String,
    category: u8,
    #[serde(default)]
    evidence: Vec<String>,
}

#[derive(Deserialize)]
struct Turn {
    speaker: String,
    dia_id: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    blip_caption: Option<String>,
}

/// Reads every conversation of a file.
///
/// # Errors
/// When the file cannot be read or is not of this format.
pub fn read(path: &Path) -> Result<Vec<Conversation>, Box<dyn Error>> {
    let samples: Vec<Sample> = serde_json::from_slice(&std::fs::read(path)?)?;
    samples.into_iter().map(conversation).collect()
}

fn conversation(sample: Sample) -> Result<Conversation, Box<dyn Error>> {
    let mut turns = Vec::new();
    let mut known = BTreeSet::new();
    let mut end = DateTime::UNIX_EPOCH;
    for number in 1.. {
        let session = format!("session_{number}");
        let Some(date) = sample.conversation.get(&format!("{session}_date_time")) else {
            break;
        };
        let Some(raw) = sample.conversation.get(&session) else {
            continue;
        };
        let time = session_time(date.as_str().unwrap_or_default())?;
        end = end.max(time);
        for turn in Vec::<Turn>::deserialize(raw)? {
            known.insert(turn.dia_id.clone());
            turns.push(memory_of(turn, &sample.sample_id, &session, time));
        }
    }
    let questions = sample.qa.into_iter().map(|raw| question(raw, &known));
    let (unanswerable, answerable): (Vec<_>, Vec<_>) =
        questions.partition(|question| question.category == UNANSWERABLE);
    Ok(Conversation {
        name: sample.sample_id,
        turns,
        end,
        // Without evidence there is nothing to score.
        questions: answerable
            .into_iter()
            .filter(|question| !question.evidence.is_empty())
            .collect(),
        unanswerable,
    })
}

fn memory_of(turn: Turn, name: &str, session: &str, time: DateTime<Utc>) -> MemoryBatchItem {
    let caption = turn
        .blip_caption
        .map(|caption| format!(" [{caption}]"))
        .unwrap_or_default();
    let content = format!("{}: {}{caption}", turn.speaker, turn.text);
    MemoryBatchItem::new(name, MemoryKind::Experience, content)
        .with_timestamp(time)
        .with_context(session)
        .with_tag(turn.speaker)
        .with_metadata("dia_id", turn.dia_id)
}

fn session_time(text: &str) -> Result<DateTime<Utc>, Box<dyn Error>> {
    Ok(NaiveDateTime::parse_from_str(text, "%I:%M %p on %d %B, %Y")?.and_utc())
}

fn question(raw: RawQuestion, known: &BTreeSet<String>) -> Question {
    let evidence = raw
        .evidence
        .iter()
        .flat_map(|text| dialogue_ids(text))
        .filter(|id| known.contains(id))
        .collect();
    Question {
        text: raw.question,
        category: raw.category,
        evidence,
    }
}

/// Every `D<session>:<turn>` of an evidence string, in any of its notations:
/// `D8:6; D9:17`, `D:11:26`, `D30:05`.
fn dialogue_ids(text: &str) -> Vec<String> {
    let numbers: Vec<&str> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .collect();
    numbers
        .chunks_exact(2)
        .filter_map(|pair| {
            Some(format!(
                "D{}:{}",
                pair[0].parse::<u32>().ok()?,
                pair[1].parse::<u32>().ok()?
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_of_every_notation_is_parsed() {
        assert_eq!(dialogue_ids("D8:6; D9:17"), ["D8:6", "D9:17"]);
        assert_eq!(dialogue_ids("D:11:26"), ["D11:26"]);
        assert_eq!(dialogue_ids("D30:05"), ["D30:5"]);
        assert!(dialogue_ids("").is_empty());
    }

    #[test]
    fn questions_are_scored_by_their_evidence_or_have_no_answer() {
        let sample = serde_json::json!({
            "sample_id": "one",
            "conversation": {
                "session_1_date_time": "1:56 pm on 8 May, 2023",
                "session_1": [
                    {"speaker": "Tam", "dia_id": "D1:1", "text": "I sold the horse."},
                    {"speaker": "Edda", "dia_id": "D1:2", "text": "I mended the cart."}
                ]
            },
            "qa": [
                {"question": "What did Tam sell?", "category": 4, "evidence": ["D1:01"]},
                {"question": "Who is the miller?", "category": 3, "evidence": ["D9:9"]},
                {"question": "What did Tam mend?", "category": 5, "evidence": ["D1:2"]}
            ]
        });
        let sample = serde_json::from_value(sample).unwrap();
        let conversation = conversation(sample).unwrap();
        let texts = |questions: &[Question]| {
            let texts = questions.iter().map(|question| question.text.clone());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(conversation.turns.len(), 2);
        assert_eq!(texts(&conversation.questions), ["What did Tam sell?"]);
        assert!(conversation.questions[0].evidence.contains("D1:1"));
        assert_eq!(texts(&conversation.unanswerable), ["What did Tam mend?"]);
    }

    #[test]
    fn a_session_date_is_parsed() {
        let time = session_time("1:56 pm on 8 May, 2023").unwrap();
        assert_eq!(time.to_rfc3339(), "2023-05-08T13:56:00+00:00");
    }
}
