//! The lexical retriever of [`Store::search`](memory_core::Store::search).

use std::collections::BTreeSet;

use memory_core::{
    EntityId, MemoryError, MemoryFilter, MemoryPatch, MemoryTagMode, SearchOutcome, SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{embedding, plain};
use crate::store::CheckContext;

/// Queries that are operators, wildcards or faulty syntax somewhere.
const ODD_QUERIES: [&str; 30] = [
    "\"",
    "'",
    "\"unclosed",
    "it's",
    "''",
    "`",
    "(",
    ")",
    "((",
    "*",
    "lantern*",
    "^lantern",
    "-lantern",
    "+lantern",
    "lantern AND",
    "OR",
    "NOT NOT",
    "NEAR(",
    "NEAR(a b, 3)",
    "a:b",
    "content:lantern",
    "& | ! <->",
    ":*",
    "{}[]\\/",
    "%_%",
    "; DROP TABLE memory; --",
    "🐎",
    "…—„“",
    "?!.,",
    "\u{301}\u{200b}",
];

/// The lexical retriever answers, or says [`MemoryError::Unsupported`] with the name
/// of the backend, as the capabilities have it.
pub async fn answers_as_capabilities_say(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let item = plain(&mira, "the lantern burns", &mut context.rng());
    context.insert(&[item]).await?;
    let request = lexical(MemoryFilter::new(), 10, "lantern");
    let capabilities = context.store().capabilities();
    match context.store().search(&mira, &request).await {
        Ok(found) => {
            ensure!(capabilities.lexical, "a retriever that is denied answered");
            ensure_eq!(found.candidates.len(), 1, "candidates");
        }
        Err(MemoryError::Unsupported { backend, .. }) => {
            ensure!(
                !capabilities.lexical,
                "a retriever that is offered is refused"
            );
            ensure_eq!(backend, capabilities.backend, "backend in the error");
        }
        Err(error) => return Err(CheckFailure::from(error)),
    }
    Ok(())
}

/// A word of one memory finds it, first; so does an identifier
/// among others of its family.
pub async fn finds_an_identifier(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut texts: Vec<String> = (0..30)
        .map(|n| {
            format!(
                "ticket INC-{} was closed by the night shift",
                10_000 + n * 37
            )
        })
        .collect();
    texts.push("ticket INC-90312 is about the lantern".to_owned());
    texts.push("quorvex".to_owned());
    fill(context, &mira, &texts).await?;
    for (query, wanted) in [
        ("INC-90312", &texts[30]),
        ("what became of INC-90312?", &texts[30]),
        ("quorvex", &texts[31]),
    ] {
        let found = search(context, &mira, MemoryFilter::new(), 5, query).await?;
        let ranked = ranked(&found)?;
        ensure_eq!(ranked.first(), Some(&wanted.as_str()), "first by {query:?}");
    }
    let found = search(context, &mira, MemoryFilter::new(), 5, "zzyzxword").await?;
    ensure_eq!(found.candidates, [], "candidates of a word that is nowhere");
    Ok(())
}

/// Of memories equally long, the one with more of the query's words ranks
/// higher, and the one with the rarer word.
pub async fn ranks_more_matches_higher(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut texts: Vec<String> = (0..40)
        .map(|n| format!("filler{n} amber candle donkey ember{n} garnet"))
        .collect();
    texts.push("wexford tamarind sorrel amber candle garnet".to_owned());
    texts.push("wexford tamarind island amber candle garnet".to_owned());
    texts.push("wexford jasper island amber candle garnet".to_owned());
    fill(context, &mira, &texts).await?;
    let found = search(
        context,
        &mira,
        MemoryFilter::new(),
        10,
        "sorrel tamarind wexford",
    )
    .await?;
    let wanted: Vec<&str> = texts[40..].iter().map(String::as_str).collect();
    ensure_eq!(ranked(&found)?, wanted, "ranking by matches");
    let found = search(context, &mira, MemoryFilter::new(), 1, "amber sorrel").await?;
    ensure_eq!(ranked(&found)?, [wanted[0]], "ranking by rarity");
    Ok(())
}

/// Any of the words may match; what matches none is no candidate.
pub async fn any_word_may_match(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let texts = [
        "wexford one",
        "tamarind two",
        "sorrel three",
        "nothing of it",
    ];
    fill(context, &mira, &texts).await?;
    let query = "sorrel wexford tamarind unheardof";
    let found = search(context, &mira, MemoryFilter::new(), 10, query).await?;
    let got: BTreeSet<&str> = ranked(&found)?.into_iter().collect();
    ensure_eq!(got, texts[..3].iter().copied().collect(), "candidates");
    Ok(())
}

/// `limit k` finds k whenever k memories match, only such as the filter admits.
pub async fn finds_k_under_filters(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut items = Vec::new();
    for number in 0..60 {
        let word = if number % 2 == 0 { "wexford" } else { "sorrel" };
        let mut item = plain(&mira, format!("{word} number{number}"), &mut rng);
        if number % 10 < 2 {
            item.memory.tags = ["rare".to_owned()].into();
        }
        items.push(item);
    }
    context.insert(&items).await?;
    let rare = MemoryFilter::new().tags(["rare"], MemoryTagMode::AnyStrict);
    for (filter, limit, wanted) in [
        (MemoryFilter::new(), 1_000, 30),
        (MemoryFilter::new(), 7, 7),
        (rare.clone(), 1_000, 6),
        (rare.clone(), 6, 6),
        (rare, 4, 4),
        (MemoryFilter::new().metadata("no", "one"), 10, 0),
    ] {
        let found = search(context, &mira, filter.clone(), limit, "wexford").await?;
        ensure_eq!(found.candidates.len(), wanted, "candidates by {filter:?}");
        for candidate in &found.candidates {
            ensure!(
                filter.matches(&candidate.memory) && candidate.memory.content.contains("wexford"),
                "{filter:?} does not admit {}, or it does not match",
                candidate.memory.content
            );
        }
    }
    Ok(())
}

/// Text of any shape is a valid query: nothing is an error.
pub async fn takes_text_of_any_shape(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    fill(context, &mira, &["the lantern burns", "a saddle"]).await?;
    let long = "lantern ".repeat(1_250);
    let wide = (0..1_400).map(|n| format!("w{n} ")).collect::<String>();
    let unbroken = "猫".repeat(10_000);
    let all = ODD_QUERIES.into_iter().chain([&*long, &*wide, &*unbroken]);
    for query in all {
        let request = lexical(MemoryFilter::new(), 10, query);
        let shown: String = query.chars().take(40).collect();
        let found = context.store().search(&mira, &request).await;
        found.at(format!("query {shown:?}"))?;
    }
    Ok(())
}

/// Operators mean nothing: the words among them match as words.
pub async fn operators_mean_nothing(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let texts = ["a lantern burns", "the lantern hangs", "a saddle"];
    fill(context, &mira, &texts).await?;
    for query in [
        "-lantern",
        "NOT lantern",
        "lantern AND quorvex",
        "\"lantern quorvex\"",
        "\"lantern",
        "(lantern",
        "^lantern:",
        "content:lantern",
        "!lantern & quorvex",
        "lantern)*",
    ] {
        let found = search(context, &mira, MemoryFilter::new(), 10, query).await?;
        let got: BTreeSet<&str> = ranked(&found)?.into_iter().collect();
        ensure!(
            got.contains(texts[0]) && got.contains(texts[1]) && !got.contains(texts[2]),
            "{query:?} found {got:?}, expected the two with the lantern"
        );
    }
    Ok(())
}

/// What is changed is found by its new words and not by its old ones; what is
/// deleted is not found.
pub async fn follows_writes(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = plain(&mira, "the quorvex sleeps", &mut rng);
    let id = item.memory.id;
    context.insert(&[item]).await?;
    let found = |query| search(context, &mira, MemoryFilter::new(), 10, query);
    ensure_eq!(found("quorvex").await?.candidates.len(), 1, "before");
    let patch = MemoryPatch::new().content("the brindle wakes");
    let fresh = embedding(1, &mut rng);
    context
        .store()
        .update(&mira, &id, &patch, Some(&fresh))
        .await
        .at("update")?;
    ensure_eq!(found("quorvex").await?.candidates.len(), 0, "the old word");
    ensure_eq!(found("brindle").await?.candidates.len(), 1, "the new word");
    context.store().delete(&mira, &[id]).await.at("delete")?;
    ensure_eq!(found("brindle").await?.candidates.len(), 0, "once deleted");
    Ok(())
}

fn lexical(filter: MemoryFilter, limit: usize, text: &str) -> SearchRequest {
    SearchRequest {
        sample: 0,
        filter,
        limit,
        dense: None,
        lexical: Some(text.to_owned()),
    }
}

async fn search(
    context: &CheckContext,
    entity: &EntityId,
    filter: MemoryFilter,
    limit: usize,
    text: &str,
) -> Result<SearchOutcome, CheckFailure> {
    let request = lexical(filter, limit, text);
    context.store().search(entity, &request).await.at("search")
}

async fn fill(context: &CheckContext, entity: &EntityId, texts: &[impl ToString]) -> CheckResult {
    let mut rng = context.rng();
    let batch: Vec<_> = texts
        .iter()
        .map(|text| plain(entity, text.to_string(), &mut rng))
        .collect();
    context.insert(&batch).await.map(drop)
}

/// The contents found, best first; each must carry a lexical value.
fn ranked(found: &SearchOutcome) -> Result<Vec<&str>, CheckFailure> {
    let mut values = Vec::new();
    for candidate in &found.candidates {
        match candidate.lexical {
            Some(value) if value.is_finite() => values.push((value, &*candidate.memory.content)),
            other => {
                let content = &candidate.memory.content;
                let why = format!("{content:?} was found with the lexical value {other:?}");
                return Err(CheckFailure::failed(why));
            }
        }
    }
    values.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    Ok(values.into_iter().map(|(_, content)| content).collect())
}
