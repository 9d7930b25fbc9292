//! What is read is what was written, to the last bit.

use chrono::TimeDelta;
use memory_core::limits::{
    MAX_CONTENT_CHARS, MAX_CONTEXT_CHARS, MAX_ENTITY_ID_CHARS, MAX_LINKS, MAX_METADATA_BYTES,
    MAX_ROLE_CHARS, MAX_TAG_CHARS, MAX_TAGS, MAX_TIMESTAMP_MICROS, MIN_TIMESTAMP_MICROS, to_micros,
};
use memory_core::{EmbeddedMemory, EntityId, Memory, MemoryFilter, MemoryKind};

use crate::check::{CheckResult, ensure_eq};
use crate::fixtures::{at, at_micros, consolidation, plain};
use crate::store::CheckContext;

/// Text that has tripped one program or another.
const ODD_TEXTS: [&str; 16] = [
    "plain",
    "  kept as it is, spaces and all \n",
    "'single' \"double\" `back` ''twice''",
    "\\ \\n \\u0041 %s %d {} {0} $1 ?1 :name @name",
    "100 % _under_score_",
    "'); DROP TABLE memory; --",
    "{\"json\": [1, null]} [1,2] null",
    "a,b;c\td\r\ne\u{b}f",
    "Übergröße, naïveté, Ελλάδα, Привет, שלום, مرحبا",
    "記憶は川のように流れる 기억 記憶",
    "🐎 👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺 👍🏽",
    "e\u{301} is not \u{e9}",
    "\u{202e}right to left\u{202c} \u{200b}zero width\u{feff}",
    "\u{1}\u{7f}\u{85} control",
    "\u{10ffff}\u{fffd}\u{e000}",
    "NULL",
];

/// Every field of a memory, filled, comes back by get and by list.
pub async fn keeps_every_field(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut full = plain(&mira, "Tam sold me a lame horse.", &mut rng);
    let memory = &mut full.memory;
    memory.kind = MemoryKind::Experience;
    memory.timestamp = at_micros(1_700_000_000_123_456);
    memory.last_accessed = Some(at_micros(1_700_000_001_654_321));
    memory.access_count = 3;
    memory.importance = 0.8;
    // Not the kind's own: consolidation slows it.
    memory.decay_rate = 0.008;
    memory.context = Some("spring fair".to_owned());
    memory.metadata = [("price", "12 silver"), ("place", "market")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    memory.related = [(rng.id(), "caused by".to_owned())].into();
    memory.entities = [(EntityId::from("tam"), "seller".to_owned())].into();
    memory.tags = ["horse", "trade"].map(str::to_owned).into();
    let bare = plain(&mira, "bare", &mut rng);
    let mut blank = plain(&mira, "with an empty context", &mut rng);
    blank.memory.context = Some(String::new());
    comes_back(context, &[full, bare, blank]).await?;
    for (number, kind) in MemoryKind::ALL.into_iter().enumerate() {
        let mut item = plain(&mira, format!("kind {number}"), &mut rng);
        item.memory.kind = kind;
        item.memory.decay_rate = kind.decay_rate();
        comes_back(context, &[item]).await?;
    }
    Ok(())
}

/// Text of any shape comes back byte for byte, in every field that holds text.
pub async fn keeps_text_of_any_shape(context: &CheckContext) -> CheckResult {
    let mut rng = context.rng();
    let mut batch = Vec::new();
    for (number, text) in ODD_TEXTS.into_iter().enumerate() {
        // Names take no control characters; everything else does.
        let name: String = text.chars().filter(|c| !c.is_control()).collect();
        let entity = context.entity(&format!("{number} {name}"));
        let mut item = plain(&entity, text, &mut rng);
        let memory = &mut item.memory;
        memory.context = Some(text.to_owned());
        memory.metadata = [(text.to_owned(), text.to_owned())].into();
        memory.metadata.insert("empty".to_owned(), String::new());
        memory.related = [(rng.id(), text.to_owned())].into();
        memory.entities = [(EntityId::from(name), text.to_owned())].into();
        memory.tags = [text.to_owned()].into();
        batch.push(item);
    }
    comes_back(context, &batch).await
}

/// The bounds count characters: 10,000 of three bytes each are kept, and so is
/// the most of everything else at once.
pub async fn keeps_the_longest_content(context: &CheckContext) -> CheckResult {
    let prefix = context.namespace().chars().count() + 1;
    let mira = context.entity(&"猫".repeat(MAX_ENTITY_ID_CHARS - prefix));
    let mut rng = context.rng();
    let mut item = plain(&mira, "記".repeat(MAX_CONTENT_CHARS), &mut rng);
    let memory = &mut item.memory;
    memory.context = Some("文".repeat(MAX_CONTEXT_CHARS));
    memory.metadata = [("k".to_owned(), "v".repeat(MAX_METADATA_BYTES - 1))].into();
    memory.tags = (0..MAX_TAGS)
        .map(|n| format!("{n:0>width$}", width = MAX_TAG_CHARS))
        .collect();
    memory.related = (0..MAX_LINKS)
        .map(|_| (rng.id(), "役".repeat(MAX_ROLE_CHARS)))
        .collect();
    memory.entities = (0..MAX_LINKS)
        .map(|n| {
            (
                EntityId::from(format!("guest {n}")),
                "役".repeat(MAX_ROLE_CHARS),
            )
        })
        .collect();
    comes_back(context, &[item]).await
}

/// The first and the last moment that a memory may have, and microseconds on
/// both sides of 1970.
pub async fn keeps_extreme_times(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let moments = [
        MIN_TIMESTAMP_MICROS,
        MIN_TIMESTAMP_MICROS + 1,
        -1_000_001,
        -1,
        0,
        1,
        999_999,
        MAX_TIMESTAMP_MICROS - 1,
        MAX_TIMESTAMP_MICROS,
    ];
    let batch: Vec<EmbeddedMemory> = moments
        .into_iter()
        .map(|micros| {
            let mut item = plain(&mira, format!("at {micros}"), &mut rng);
            item.memory.timestamp = at_micros(micros);
            item.memory.last_accessed = Some(at_micros(micros));
            item
        })
        .collect();
    comes_back(context, &batch).await
}

/// What is finer than a microsecond is cut off, before 1970 and 2000 too, by insert and
/// by consolidate: [`to_micros`].
pub async fn cuts_times_to_microseconds(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let fine = |item: &mut EmbeddedMemory, micros, nanos| {
        let time = at_micros(micros) + TimeDelta::nanoseconds(nanos);
        item.memory.timestamp = time;
        item.memory.last_accessed = Some(time);
    };
    let cut = |item: &EmbeddedMemory| {
        let mut memory = item.memory.clone();
        memory.timestamp = to_micros(memory.timestamp);
        memory.last_accessed = memory.last_accessed.map(to_micros);
        memory
    };
    let mut batch = Vec::new();
    for micros in [
        -1_000_000,
        -1,
        0,
        1,
        900_000_000_000_000,
        1_700_000_000_000_000,
    ] {
        for nanos in [1, 500, 999] {
            let mut item = plain(&mira, format!("{nanos} ns after {micros}"), &mut rng);
            fine(&mut item, micros, nanos);
            batch.push(item);
        }
    }
    context.insert(&batch).await?;
    for item in &batch {
        let got = context.get(&mira, item.memory.id).await?;
        same(got.as_ref(), &cut(item), "get")?;
    }
    let mut group = consolidation(&mira, "a summary", [batch[0].memory.id], &mut rng);
    fine(&mut group.summary, -1, 999);
    context
        .consolidate(&mira, std::slice::from_ref(&group))
        .await?;
    let got = context.get(&mira, group.summary.memory.id).await?;
    same(got.as_ref(), &cut(&group.summary), "get of a summary")
}

/// Importance and decay keep every bit of their `f32`; counts beyond 2^53 and
/// 32 bits are kept as well.
pub async fn keeps_numbers_exactly(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut numbers = vec![
        0.0,
        1.0,
        f32::MIN_POSITIVE,
        f32::EPSILON,
        0.1,
        0.3,
        1.0 / 3.0,
    ];
    numbers.push(1.0 - f32::EPSILON / 2.0);
    numbers.extend((0..20).map(|_| rng.unit()));
    let counts = [0, 1, u64::from(u32::MAX) + 1, (1 << 53) + 1];
    let batch: Vec<EmbeddedMemory> = numbers
        .iter()
        .enumerate()
        .map(|(index, number)| {
            let mut item = plain(&mira, format!("number {index}"), &mut rng);
            item.memory.importance = *number;
            item.memory.decay_rate = number / 7.0;
            item.memory.access_count = counts[index % counts.len()];
            item.memory.timestamp = at(0);
            item
        })
        .collect();
    comes_back(context, &batch).await
}

/// Writes the items and demands each back, by get and by list.
async fn comes_back(context: &CheckContext, batch: &[EmbeddedMemory]) -> CheckResult {
    context.insert(batch).await?;
    for EmbeddedMemory { memory, .. } in batch {
        let got = context.get(&memory.entity_id, memory.id).await?;
        same(got.as_ref(), memory, "get")?;
        let listed = context
            .listed(&memory.entity_id, &MemoryFilter::new(), 100)
            .await?;
        let found = listed.iter().find(|found| found.id == memory.id);
        same(found, memory, "list")?;
    }
    Ok(())
}

/// Compares field by field, so that a failure names the field.
fn same(got: Option<&Memory>, wanted: &Memory, by: &str) -> CheckResult {
    let Some(got) = got else {
        ensure_eq!(None, Some(wanted.id), "{by}: the memory");
        return Ok(());
    };
    ensure_eq!(got.entity_id, wanted.entity_id, "{by}: entity_id");
    ensure_eq!(got.kind, wanted.kind, "{by}: kind");
    ensure_eq!(got.content, wanted.content, "{by}: content");
    ensure_eq!(got.timestamp, wanted.timestamp, "{by}: timestamp");
    ensure_eq!(
        got.last_accessed,
        wanted.last_accessed,
        "{by}: last_accessed"
    );
    ensure_eq!(got.access_count, wanted.access_count, "{by}: access_count");
    ensure_eq!(got.importance, wanted.importance, "{by}: importance");
    ensure_eq!(got.decay_rate, wanted.decay_rate, "{by}: decay_rate");
    ensure_eq!(got.context, wanted.context, "{by}: context");
    ensure_eq!(got.metadata, wanted.metadata, "{by}: metadata");
    ensure_eq!(got.related, wanted.related, "{by}: related");
    ensure_eq!(got.entities, wanted.entities, "{by}: entities");
    ensure_eq!(got.tags, wanted.tags, "{by}: tags");
    ensure_eq!(got, wanted, "{by}: the memory");
    Ok(())
}
