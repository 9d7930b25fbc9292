//! The questions, their answers, and whether the answers are right.

use memory::{MemoryFilter, MemoryKind, MemorySystem, MemoryTagMode, RecallHit, RecallRequest};

use crate::{Demo, MIRA, ensure, heading};

/// Columns that an answer's text may take.
const WIDTH: usize = 80;

/// A question and what the story answers to it.
pub(crate) struct Question {
    /// What is asked.
    text: &'static str,
    /// Which memories are asked; all where nothing is said.
    scope: Option<Scope>,
    /// `metadata.key` of the memory that must be among the first three.
    key: &'static str,
    /// The words in it that are the answer.
    answer: &'static str,
}

/// Which memories a question is put to.
enum Scope {
    /// At least this cosine to the question.
    Cosine(f32),
    Kind(MemoryKind),
    Tag(&'static str),
}

/// The word for the cellar door changes over the year: asked again later.
pub(crate) const CELLAR: Question = Question::new(
    "What is the word for the cellar door now?",
    "cellar-word",
    "'sedge'",
);

const QUESTIONS: [Question; 9] = [
    Question::new("Who sold me the lame horse?", "horse-sale", "Tam Reddick"),
    Question::new(
        "What is the claim number for the flood damage?",
        "flood-claim",
        "INC-90312",
    ),
    Question::new("What food is dangerous for Jun?", "jun-walnuts", "walnuts"),
    // The answer is the last sentence of a memory more than twice as long as what
    // the model reads at once. The bound leaves no other way to find it: what
    // the model reads first has a cosine of 0.2.
    Question::new(
        "Where is Gideon Tolland's key hidden?",
        "asp-deathbed",
        "third hearthstone of the cold kitchen at Saint Orrin's",
    )
    .among(Scope::Cosine(0.3)),
    Question::new(
        "Who robbed the tithe barn?",
        "barley-thief",
        "Bram Holloway who robbed",
    ),
    Question::new("How much does Bram still owe me?", "bram-owes", "20 crowns")
        .among(Scope::Tag("debt")),
    // In March she thought otherwise; that opinion is found as well.
    Question::new("Can Tam Reddick be trusted?", "tam-forgiven", "no cheat")
        .among(Scope::Kind(MemoryKind::Opinion)),
    Question::new("What is Pell's real name?", "pell-name", "Peregrine Fane"),
    CELLAR,
];

impl Question {
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

    /// What is handed to `recall`: the first three answers are wanted.
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

    /// The expected memory among what was found.
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

/// What is asked, for whoever times it.
pub(crate) fn requests() -> Vec<RecallRequest> {
    QUESTIONS.iter().map(Question::request).collect()
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

fn print(question: &Question, found: &[RecallHit]) {
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

/// One line of a text: its beginning, or the stretch around `words` where they
/// stand further back. Cut between words.
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
