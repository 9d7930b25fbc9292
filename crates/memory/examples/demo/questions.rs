//! The questions, their answers, and whether the answers are right.

use memory::{MemoryFilter, MemoryKind, MemorySystem, MemoryTagMode, RecallHit, RecallRequest};

use crate::{Demo, MIRA, ensure, heading};

/// The longest line of a printed answer, in characters.
const WIDTH: usize = 80;

/// A question and the expected answer.
pub(crate) struct DemoQuestion {
    /// The text of the question.
    text: &'static str,
    /// Which memories may answer it; all by default.
    scope: Option<Scope>,
    /// `metadata.key` of the memory that must be among the first three.
    key: &'static str,
    /// The words in it that are the answer.
    answer: &'static str,
}

/// Restrictions of a question.
enum Scope {
    /// The least cosine to the question.
    Cosine(f32),
    Kind(MemoryKind),
    Tag(&'static str),
}

/// The word for the cellar door changes over the year: asked again later.
pub(crate) const CELLAR: DemoQuestion = DemoQuestion::new(
    "What is the word for the cellar door now?",
    "cellar-word",
    "'sedge'",
);

const QUESTIONS: [DemoQuestion; 9] = [
    DemoQuestion::new("Who sold me the lame horse?", "horse-sale", "Tam Reddick"),
    DemoQuestion::new(
        "What is the claim number for the flood damage?",
        "flood-claim",
        "INC-90312",
    ),
    DemoQuestion::new("What food is dangerous for Jun?", "jun-walnuts", "walnuts"),
    // The answer is the last sentence of a memory more than twice as long as what
    // the model reads at once. The bound leaves no other way to find it: what
    // the model reads first has a cosine of 0.2.
    DemoQuestion::new(
        "Where is Gideon Tolland's key hidden?",
        "asp-deathbed",
        "third hearthstone of the cold kitchen at Saint Orrin's",
    )
    .among(Scope::Cosine(0.3)),
    DemoQuestion::new(
        "Who robbed the tithe barn?",
        "barley-thief",
        "Bram Holloway who robbed",
    ),
    DemoQuestion::new("How much does Bram still owe me?", "bram-owes", "20 crowns")
        .among(Scope::Tag("debt")),
    // In March she had another opinion, which is also found.
    DemoQuestion::new("Can Tam Reddick be trusted?", "tam-forgiven", "no cheat")
        .among(Scope::Kind(MemoryKind::Opinion)),
    DemoQuestion::new("What is Pell's real name?", "pell-name", "Peregrine Fane"),
    CELLAR,
];

impl DemoQuestion {
    const fn new(text: &'static str, key: &'static str, answer: &'static str) -> Self {
        Self {
            text,
            scope: None,
            key,
            answer,
        }
    }

    const fn among(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The recall request, for the first three hits.
    pub(crate) fn request(&self) -> RecallRequest {
        let request = RecallRequest::new(self.text).limit(3);
        let all = MemoryFilter::new();
        match &self.scope {
            None => request,
            Some(Scope::Cosine(least)) => request.min_similarity(*least),
            Some(Scope::Kind(kind)) => request.filter(all.kind(*kind)),
            Some(Scope::Tag(tag)) => request.filter(all.tags([*tag], MemoryTagMode::AnyStrict)),
        }
    }

    /// The expected memory among the hits.
    pub(crate) fn expected<'a>(&self, found: &'a [RecallHit]) -> Demo<&'a RecallHit> {
        let expected = found.iter().find(|recalled| self.is_answer(recalled));
        expected.ok_or_else(|| {
            format!(
                "{:?} should find the memory {:?} among the first three",
                self.text, self.key
            )
            .into()
        })
    }

    fn is_answer(&self, recalled: &RecallHit) -> bool {
        let key = recalled.memory.metadata.get("key");
        key.is_some_and(|key| key == self.key)
    }
}

/// All requests, for the timings.
pub(crate) fn requests() -> Vec<RecallRequest> {
    QUESTIONS.iter().map(DemoQuestion::request).collect()
}

/// Asks every question, prints the first three answers, checks them.
pub(crate) async fn ask_all(memory: &MemorySystem) -> Demo {
    heading("Questions, and the first three answers to each");
    println!("score  cosine  * the answer that the demo insists on");
    for question in &QUESTIONS {
        let found = memory.recall(MIRA, question.request()).await?;
        print(question, &found);
        let expected = question.expected(&found)?;
        ensure(expected.memory.content.contains(question.answer), || {
            format!("the memory {:?} lacks {:?}", question.key, question.answer)
        })?;
    }
    Ok(())
}

fn print(question: &DemoQuestion, found: &[RecallHit]) {
    let scope = match &question.scope {
        None => String::new(),
        Some(Scope::Cosine(least)) => format!("  [only cosine {least} and up]"),
        Some(Scope::Kind(kind)) => format!("  [only kind {kind}]"),
        Some(Scope::Tag(tag)) => format!("  [only tag {tag}]"),
    };
    println!("\n{}{scope}", question.text);
    for recalled in found {
        let mark = if question.is_answer(recalled) {
            '*'
        } else {
            ' '
        };
        let cosine = recalled.similarity;
        let cosine = cosine.map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.2}"));
        println!(
            "{:5.2}  {cosine:>6}  {mark} {}",
            recalled.score,
            excerpt(&recalled.memory.content, question.answer)
        );
    }
}

/// One line of a text: its beginning, or the part around `words` if they are
/// further back. Cut between words.
pub(crate) fn excerpt(content: &str, words: &str) -> String {
    let count = content.chars().count();
    if count <= WIDTH {
        return content.to_owned();
    }
    let room = WIDTH - 2;
    let end = content.split_once(words).map_or(0, |(before, _)| {
        before.chars().count() + words.chars().count()
    });
    if end <= room {
        return format!("{}…", head(content, room));
    }
    // The words end two thirds into the line, or where the text ends.
    let start = (end - 2 * room / 3).min(count - room);
    let rest: String = content.chars().skip(start).collect();
    let rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
    let shown = head(rest, room);
    let tail = if shown.len() < rest.len() { "…" } else { "" };
    format!("…{shown}{tail}")
}

/// The whole words in the first `room` characters of a text.
fn head(text: &str, room: usize) -> &str {
    let Some((cut, _)) = text.char_indices().nth(room) else {
        return text;
    };
    text[..cut]
        .rsplit_once(' ')
        .map_or(&text[..cut], |(head, _)| head)
}
