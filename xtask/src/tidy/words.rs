//! Rules for names and prose: retired names are not used for files and items,
//! and comments and documentation use plain modern English.
//!
//! `docs/glossary.md` explains the terms that replaced the retired ones.

use super::tree::File;
use super::{Finding, Tree};

/// This file contains every retired word.
const OWN_PATH: &str = "xtask/src/tidy/words.rs";

/// Files whose text cannot change: applied migrations are checksummed.
const FROZEN_FOLDERS: &[&str] = &["migrations/"];

/// Retired types, with their replacement. Each was a picture, or one word for
/// several things.
const TYPES: &[(&str, &str)] = &[
    ("ApproximateIndex", "AnnIndex"),
    ("ArmSummary", "ScoreStats"),
    ("ArmTally", "ScoreStatsBuilder"),
    ("Blend", "ScoreFusion"),
    ("Boarding", "PendingLoads"),
    ("Booking", "PendingWrites"),
    ("Catalogue", "IndexCatalog"),
    ("Consolidated", "ConsolidationReport"),
    ("Consolidation", "SummaryGroup"),
    ("Contest", "RankingContext"),
    ("CutShort", "Truncated"),
    ("Deeds", "OpCounts"),
    ("Demand", "Freshness"),
    ("Desk", "WorkerHandle"),
    ("Doomed", "RemovalSet"),
    ("Door", "AdmissionFilter"),
    ("Doubt", "UncertainWriteGuard"),
    ("Ears", "ListenerConfig"),
    ("EngineParts", "EngineBuilder"),
    ("Face", "Observed"),
    ("Fetched", "GetOutcome"),
    ("Flaw", "FileProblem"),
    ("Flight", "SharedLoad"),
    ("Flights", "SingleFlight"),
    ("Folder", "ModelDir"),
    ("FolderOptions", "ModelOptions"),
    ("Found", "a noun that says what was found"),
    ("Gone", "RemovedRows"),
    ("Ground", "CheckContext"),
    ("Held", "CachedSnapshot"),
    ("Kept", "CachedMemory"),
    ("Landing", "RemoveOnDrop"),
    ("LastOneCloses", "CloseOnLastExit"),
    ("Ledger", "EvictionStats"),
    ("LettingGo", "RemovalTiming"),
    ("Life", "Lifetime"),
    ("Look", "Probe"),
    ("MaxBytes", "ByteSize"),
    ("MemStore", "InMemoryStore"),
    ("News", "ChangeListener"),
    ("OtherEntity", "EntityMismatch"),
    ("Pace", "Latency"),
    ("Place", "a noun for the role: index, slot, path"),
    ("Post", "FlushGuard"),
    ("PreparedMemory", "EmbeddedMemory"),
    ("Recalled", "RecallHit"),
    ("Recipe", "FingerprintInput"),
    ("Room", "InsertOptions"),
    ("Runner", "PartialScore"),
    ("Seat", "Slot"),
    ("Seeded", "SeededRng"),
    ("Settled", "BatchResult"),
    ("Shared", "a noun for what is shared"),
    ("Shortfall", "CheckFailure"),
    ("Shown", "RecallSource"),
    ("Silence", "DisconnectGuard"),
    ("Stamp", "ReadInstant"),
    ("Standing", "EntityRow"),
    ("StoreNews", "StoreEvent"),
    ("StoreWatch", "ChangeStream"),
    ("Surroundings", "Environment"),
    ("Sweep", "DenseScan"),
    ("Taken", "DrainedBatch"),
    ("Tally", "a noun for what is counted"),
    ("Ticket", "LoadToken"),
    ("Touch", "AccessUpdate"),
    ("UnaskedEmbedding", "UnexpectedEmbedding"),
    ("Verbs", "inherent methods"),
    ("Voice", "EventSender"),
    ("Waits", "Backoff"),
    ("WeightsFrom", "WeightSource"),
    ("Work", "a noun for the kind of work"),
    ("Worth", "EvictionRank"),
];

/// Retired functions, constants, modules and file names, with their
/// replacement.
const ITEMS: &[(&str, &str)] = &[
    ("announcements", "notify_changes"),
    ("announces", "notify"),
    ("approximate", "ann_index"),
    ("approximate_at_most", "ann_max_indexes"),
    ("approximate_from", "ann_min_vectors"),
    ("asks_for_types", "prefetch_types"),
    ("at_item", "with_item"),
    ("be_patient", "disable_timeout"),
    ("begin_alone", "begin_exclusive"),
    ("board", "join_or_start"),
    ("caught_by", "detected_by"),
    ("clear_shown", "clear_store_backed"),
    ("contenders", "registry"),
    ("culprit", "rejected_index"),
    ("departures", "evicted"),
    ("deeds", "op_counts"),
    ("distrust", "invalidate_uncertain"),
    ("door", "admission"),
    ("existing_only", "create_if_missing"),
    ("figures", "metrics"),
    ("first_wait", "initial_backoff"),
    ("flight", "single_flight"),
    ("flights", "single_flight"),
    ("found_in", "source"),
    ("hand_in", "submit"),
    ("hear", "receive"),
    ("heard", "observe_remote"),
    ("holes", "needs_compaction"),
    ("house", "workspace"),
    ("interleavings", "loom_tests"),
    ("is_telling", "is_distinctive"),
    ("keep_contenders", "prune_by_upper_bound"),
    ("know_types", "prefetch_types"),
    ("knows", "check_and_record"),
    ("lacking", "find_missing"),
    ("landing", "single_flight"),
    ("let_go", "remove"),
    ("life", "lifecycle"),
    ("longest_wait", "max_backoff"),
    ("looked_at", "watermarks"),
    ("lose_news", "disconnect"),
    ("make_room", "plan_evictions"),
    ("manners", "session_settings"),
    ("max_answer", "max_response_bytes"),
    ("mend", "fix"),
    ("met_by", "is_satisfied_by"),
    ("needs_all", "requires_all"),
    ("news", "change_listener"),
    ("normalise", "z_score"),
    ("offload", "blocking"),
    ("open_to_look", "open_for_read"),
    ("open_untouched", "open_read_only"),
    ("pace", "latency"),
    ("page_cache", "cache_size"),
    ("patience", "timeout"),
    ("pins", "manifest"),
    ("places", "paths"),
    ("population", "fixtures"),
    ("portrait", "entity_dump"),
    ("put_what_is_new", "insert_missing"),
    ("rarity", "idf"),
    ("remark", "note"),
    ("restore_news", "reconnect"),
    ("room", "limits"),
    ("saturation", "term_weight"),
    ("scenes", "setups"),
    ("shelf", "entity_table"),
    ("shown", "recall_source"),
    ("sign_of_life", "ping_timeout"),
    ("spoken", "display"),
    ("stay_at_home", "are_scoped"),
    ("surely_fits", "fits_by_len"),
    ("swap", "cache_comparison"),
    ("sweep", "remove_stale"),
    ("takes_part", "is_eligible"),
    ("tally", "counters"),
    ("tell", "set_scope"),
    ("threads_alone", "solo_threads"),
    ("threads_each", "intra_op_threads"),
    ("turns", "locks"),
    ("unwell", "unhealthy"),
    ("verbs", "ops"),
    ("weights_from", "weight_source"),
    ("will_do", "is_fresh"),
    ("without_model", "null_embedder"),
    ("worth", "eviction"),
    ("worth_noting", "should_record_read"),
];

/// Words and phrases that comments and documentation do not use, with what to
/// write instead. Matched as whole words, in any case.
const PROSE: &[(&str, &str)] = &[
    // Archaic.
    ("albeit", "although"),
    ("amongst", "among"),
    ("anew", "again"),
    ("aught", "anything"),
    ("beforehand", "before, in advance"),
    ("beside", "next to, with, in addition to"),
    ("betimes", "early"),
    ("forthwith", "immediately"),
    ("herein", "in this"),
    ("hereof", "of this"),
    ("heretofore", "until now"),
    ("hitherto", "until now"),
    ("lest", "so that … not"),
    ("naught", "nothing"),
    ("of old", "earlier, existing"),
    ("oft", "often"),
    ("somebody else", "another process, another caller"),
    ("thereby", "so"),
    ("therein", "in it"),
    ("thereof", "of it"),
    ("thereupon", "then"),
    ("upon", "on"),
    ("whence", "from where"),
    ("whereof", "of which"),
    ("whereupon", "then"),
    ("whilst", "while"),
    ("whither", "to where"),
    ("whoever", "the caller, a user who, anyone who"),
    ("whomever", "anyone"),
    // Figures of speech.
    ("at the door", "on admission"),
    ("boards a", "waits for a"),
    ("comes by", "gets, obtains"),
    ("distrust", "invalidation"),
    ("distrusts", "invalidates"),
    ("for the eye", "for reading"),
    ("give way", "yield, are removed"),
    ("gives way", "yields, is removed"),
    ("has no say", "does not affect"),
    ("house rules", "rules of the workspace"),
    ("is at it", "is running"),
    ("knocks", "requests"),
    ("let go of", "removed, released"),
    ("lets go of", "removes, releases"),
    ("letting go", "removing, releasing"),
    ("lie beside", "are next to"),
    ("lies beside", "is next to"),
    ("of its own accord", "automatically"),
    ("stand by itself", "is independent"),
    ("stands by itself", "is independent"),
    ("the house", "the workspace, this crate"),
    ("the house's", "the workspace's, this crate's"),
    ("the manners", "the session settings"),
    ("told of", "notified of, given"),
    ("who lost", "the loser, the later one"),
    // One word for one thing.
    ("memory verb", "operation"),
    ("the verbs", "the operations"),
    ("verb", "operation"),
    ("verbs", "operations"),
];

/// Beginnings of words in British spelling; this workspace uses American
/// spelling.
const BRITISH: &[(&str, &str)] = &[
    ("artefact", "artifact"),
    ("behaviour", "behavior"),
    ("catalogue", "catalog"),
    ("centre", "center"),
    ("colour", "color"),
    ("favour", "favor"),
    ("finalis", "finaliz"),
    ("generalis", "generaliz"),
    ("honour", "honor"),
    ("initialis", "initializ"),
    ("labelled", "labeled"),
    ("licence", "license"),
    ("materialis", "materializ"),
    ("maximis", "maximiz"),
    ("minimis", "minimiz"),
    ("modelled", "modeled"),
    ("neighbour", "neighbor"),
    ("normalis", "normaliz"),
    ("optimis", "optimiz"),
    ("organis", "organiz"),
    ("per cent", "percent"),
    ("prioritis", "prioritiz"),
    ("quantis", "quantiz"),
    ("recognis", "recogniz"),
    ("sanitis", "sanitiz"),
    ("serialis", "serializ"),
    ("specialis", "specializ"),
    ("summaris", "summariz"),
    ("synchronis", "synchroniz"),
    ("tokenis", "tokeniz"),
    ("unrecognis", "unrecogniz"),
    ("utilis", "utiliz"),
];

/// Uses of a word of [`PROSE`] in another sense, by path.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Parts of speech.
    ("crates/memory-engine/src/consolidation/", "verb"),
    ("crates/memory-engine/src/consolidation/", "verbs"),
    ("crates/memory-text/src/", "verb"),
];

/// Retired names of files, folders and items.
pub(super) fn check_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs").filter(|file| is_checked(file)) {
        for part in file.path.trim_end_matches(".rs").split('/') {
            if let Some(finding) = retired(file, 1, part, ITEMS) {
                findings.push(finding);
            }
        }
        for (number, line) in file.lines() {
            if let Some((keyword, name)) = declared_item(line) {
                let is_type = matches!(keyword, "struct" | "enum" | "trait" | "type" | "union");
                let list = if is_type { TYPES } else { ITEMS };
                findings.extend(retired(file, number, name, list));
            }
        }
    }
    findings
}

/// Archaic or figurative words, and British spelling.
pub(super) fn check_prose(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let files = ["rs", "md", "toml", "sql"];
    let files = files.iter().flat_map(|kind| tree.with_extension(kind));
    for file in files.filter(|file| is_checked(file)) {
        for (number, line) in file.lines() {
            let line = line.to_lowercase();
            let words = PROSE
                .iter()
                .filter(|(word, _)| has_word(&line, word) && !is_exception(file, word));
            let british = BRITISH.iter().filter(|(start, _)| has_start(&line, start));
            for (word, instead) in words.chain(british) {
                let message = format!("\"{word}\": write {instead}");
                findings.push(Finding::new(file, number, message));
            }
        }
    }
    findings
}

fn is_exception(file: &File, word: &str) -> bool {
    let mut exceptions = EXCEPTIONS.iter();
    exceptions.any(|(path, exception)| *exception == word && file.path.starts_with(path))
}

fn is_checked(file: &File) -> bool {
    let frozen = FROZEN_FOLDERS
        .iter()
        .any(|folder| file.path.starts_with(folder));
    file.path != OWN_PATH && !frozen
}

fn retired(file: &File, line: usize, name: &str, list: &[(&str, &str)]) -> Option<Finding> {
    let (name, instead) = list.iter().find(|(retired, _)| *retired == name)?;
    let message = format!("the name {name} is retired: use {instead}");
    Some(Finding::new(file, line, message))
}

/// The keyword and name of an item that this line declares: a type or module of
/// any visibility, or another item that is `pub` in some form.
fn declared_item(line: &str) -> Option<(&str, &str)> {
    const ALWAYS: &[&str] = &["struct", "enum", "trait", "type", "union", "mod"];
    const QUALIFIERS: &[&str] = &["async", "const", "unsafe", "extern", "default"];
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    let is_public = word.starts_with("pub");
    if is_public {
        word = words.next()?;
        if word.ends_with(')') && !word.contains('(') {
            // `pub(in path)` is two words.
            word = words.next()?;
        }
    }
    let mut next = words.next()?;
    while QUALIFIERS.contains(&word) && matches!(next, "fn" | "async" | "unsafe" | "extern") {
        word = next;
        next = words.next()?;
    }
    let is_item =
        ALWAYS.contains(&word) || (is_public && matches!(word, "fn" | "const" | "static"));
    let end = next.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &next[..end.unwrap_or(next.len())];
    (is_item && !name.is_empty()).then_some((word, name))
}

fn joins(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_start(line: &str, start: &str) -> bool {
    line.match_indices(start)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(joins))
}

/// Whether `word` occurs in `line` without a letter or digit on either side.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/a/src/lib.rs";

    #[test]
    fn retired_items_are_found_in_any_declaration() {
        let text = "pub struct Door;\nenum Held<T> { A(T) }\npub(crate) const fn spoken() {}\n\
                    pub(in crate::a) async fn tell() {}\nmod news;\npub const fn mend() {}\n";
        assert_eq!(
            Tree::lines_found(check_names, PATH, text),
            [1, 2, 3, 4, 5, 6]
        );
    }

    #[test]
    fn private_functions_longer_names_and_uses_pass() {
        let text = "fn tell() {}\npub struct DoorBell;\nlet door = Door::new();\n// struct Door\n\
                    pub fn newsletter() {}\n";
        assert_eq!(Tree::lines_found(check_names, PATH, text), [0; 0]);
    }

    #[test]
    fn retired_file_names_are_found() {
        for path in ["crates/a/src/door.rs", "crates/a/src/verbs/mod.rs"] {
            assert_eq!(Tree::lines_found(check_names, path, "\n"), [1], "{path}");
        }
    }

    #[test]
    fn archaic_words_and_british_spelling_are_found() {
        let text = "// Begins anew.\n/// Whoever asks.\n//! Normalises.\nlet anew_ = 1;\n";
        assert_eq!(Tree::lines_found(check_prose, PATH, text), [1, 2, 3]);
        assert_eq!(
            Tree::lines_found(check_prose, "docs/a.md", "lets go of the lock\nrenewal\n"),
            [1]
        );
    }

    #[test]
    fn migrations_are_not_checked() {
        let path = "migrations/postgres/0001_memory.sql";
        assert_eq!(Tree::lines_found(check_prose, path, "-- anew\n"), [0; 0]);
    }
}
