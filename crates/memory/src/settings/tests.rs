//! Tests of the settings: precedence, every kind of mistake, and the table of
//! variables in the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use memory_core::{
    AccessCounting, Consistency, ErrorKind, InvalidSetting, Language, LimitPolicy, MemoryError,
    SettingProblem,
};
use tempfile::TempDir;

use super::*;

/// No variables.
const NONE: [(&str, &str); 0] = [];

/// A settings file in a folder of its own.
struct TestFile {
    _folder: TempDir,
    path: PathBuf,
}

fn write(bytes: impl AsRef<[u8]>) -> TestFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.toml");
    fs::write(&path, bytes).unwrap();
    TestFile {
        _folder: folder,
        path,
    }
}

pub(super) fn read(bytes: impl AsRef<[u8]>) -> Result<Settings, MemoryError> {
    let file = write(bytes);
    Settings::builder().file(&file.path).build()
}

#[track_caller]
fn problem(outcome: Result<Settings, MemoryError>) -> InvalidSetting {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    match error {
        MemoryError::InvalidSetting { problem } => *problem,
        error => panic!("{error:?}"),
    }
}

/// The message for a file, from the line number on.
#[track_caller]
pub(super) fn refused(text: &str) -> String {
    let message = problem(read(text)).to_string();
    let (path, rest) = message.split_once("memory.toml").unwrap();
    assert!(!path.is_empty(), "the path is complete: {message}");
    rest.to_owned()
}

#[track_caller]
fn refused_variable(name: &str, value: &str) -> String {
    problem(Settings::builder().variables([(name, value)]).build()).to_string()
}

#[test]
fn code_precedes_environment_file_preset_and_default() {
    let file = write(
        "preset = 'low_memory'\ncache_ttl_seconds = 11\ncache_tti_seconds = 12\n\
         embedding_cache_capacity = 13\n",
    );
    let settings = Settings::builder()
        // The order of the calls does not matter.
        .configure(|config| config.embedding_cache_capacity = 33)
        .variables([
            ("MEMORY_CACHE_TTI_SECONDS", "22"),
            ("MEMORY_EMBEDDING_CACHE_CAPACITY", "23"),
            ("OTHER_CACHE_TTI_SECONDS", "nonsense"),
        ])
        .file(&file.path)
        .build()
        .unwrap();
    let config = settings.config();
    assert_eq!(config.embedding_cache_capacity, 33, "code");
    assert_eq!(config.cache_tti_seconds, 22, "environment");
    assert_eq!(config.cache_ttl_seconds, 11, "file");
    assert_eq!(config.cache_max_capacity, 1_000, "preset");
    assert_eq!(config.prune_min_keep, 10, "default");

    let entries = settings.entries();
    let origin = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key).unwrap();
        entry.origin.to_string()
    };
    assert_eq!(origin("embedding_cache_capacity"), "code");
    assert_eq!(origin("cache_tti_seconds"), "MEMORY_CACHE_TTI_SECONDS");
    assert!(origin("cache_ttl_seconds").ends_with("memory.toml:2"));
    assert_eq!(origin("cache_max_capacity"), "preset low_memory");
    assert_eq!(origin("prune_min_keep"), "default");
    assert!(origin("preset").ends_with("memory.toml:1"));
}

#[test]
fn a_preset_is_chosen_in_each_source() {
    let file = write("preset = 'low_memory'");
    let from_file = || Settings::builder().file(&file.path);
    let from_both = || from_file().variables([("MEMORY_PRESET", "high_traffic")]);
    let from_all = from_both().preset(Preset::Default);
    for (builder, preset) in [
        (from_file(), Preset::LowMemory),
        (from_both(), Preset::HighTraffic),
        (from_all, Preset::Default),
    ] {
        let settings = builder.build().unwrap();
        assert_eq!(settings.preset(), preset);
        assert_eq!(settings.config(), &preset.config());
    }
}

#[test]
fn every_key_is_read_from_file_and_environment_as_it_is_shown() {
    let written = Settings::builder()
        .db("postgres://primary/db")
        .db_replicas(["postgres://a/db", "postgres://b/db"])
        .model("multilingual-e5-small")
        .preset(Preset::HighTraffic)
        .configure(|config| {
            config.consistency = Some(Consistency::Bounded(Duration::from_millis(1_500)));
            config.max_memories_per_entity = Some(77);
            config.limit_policy = LimitPolicy::Prune;
            config.access_counting = AccessCounting::Off;
            config.language = Some(Language::Norwegian);
        })
        .build()
        .unwrap();
    let entries = written.entries();
    let is_number = |value: &str| value.parse::<f64>().is_ok();
    let lines = entries.iter().map(|entry| match &entry.value {
        value if is_number(value) => format!("{} = {value}\n", entry.key),
        value => format!("{} = '{value}'\n", entry.key),
    });
    let from_file = read(lines.collect::<String>()).unwrap();
    assert!(from_file.values == written.values, "{from_file:?}");

    let variables = entries
        .iter()
        .map(|entry| (format!("MEMORY_{}", entry.key.to_uppercase()), &entry.value));
    let settings = Settings::builder().variables(variables).build().unwrap();
    assert!(settings.values == written.values, "{settings:?}");
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    assert_eq!(
        refused("\n\ncache_ttl_second = 5\n"),
        ":3: unknown setting cache_ttl_second; did you mean cache_ttl_seconds?"
    );
    for (typo, nearest) in [
        ("cache-max-capacity", "cache_max_capacity"),
        ("cache_ttl", "cache_ttl_seconds"),
        ("CACHE_TTL_SECONDS", "cache_ttl_seconds"),
        ("presets", "preset"),
        ("consistancy", "consistency"),
    ] {
        let message = refused(&format!("{typo} = 1"));
        assert!(
            message.ends_with(&format!("did you mean {nearest}?")),
            "{message}"
        );
    }
    let message = refused("[server]\nport = 80");
    assert!(message.starts_with(":1: unknown setting server; the settings are db, db_replicas,"));
    assert_eq!(
        refused_variable("MEMORY_CACHE_TTL_SECOND", "5"),
        "MEMORY_CACHE_TTL_SECOND: unknown setting MEMORY_CACHE_TTL_SECOND; did you mean \
         MEMORY_CACHE_TTL_SECONDS?"
    );
    assert!(refused_variable("MEMORY_CACHEDIR", "x").ends_with("did you mean MEMORY_CACHE_DIR?"));
    assert!(refused_variable("MEMORY_XYZ", "x").contains("the settings are MEMORY_DB, "));
}

#[test]
fn each_language_with_stems_is_a_value_and_no_other() {
    for language in Language::ALL {
        let settings = read(format!("language = '{language}'")).unwrap();
        assert_eq!(settings.config().language, Some(language));
        let message = refused("language = 'xx'");
        assert!(message.contains(language.code()), "{message}");
    }
    let file = write("language = 'nl'");
    let builder = Settings::builder().file(&file.path);
    let settings = builder.variables([("MEMORY_LANGUAGE", "detect")]).build();
    assert_eq!(settings.unwrap().config().language, None);
}

#[test]
fn wrong_types_are_refused() {
    assert_eq!(
        refused("cache_max_capacity = '10'"),
        ":1: cache_max_capacity is a text; it must be a whole number, such as 1000"
    );
    for (line, found) in [
        ("cache_max_capacity = true", "a boolean"),
        ("cache_max_capacity = 1.5", "a number with a fraction"),
        ("cache_ttl_seconds = [1]", "an array"),
        ("cache_ttl_seconds = 2026-01-01", "a date or time"),
        ("entity_cache_max_bytes = { a = 1 }", "a table"),
        ("preset = 1", "a number"),
        ("consistency = 5", "a number"),
        ("db = 5", "a number"),
    ] {
        let message = refused(line);
        assert!(
            message.contains(&format!("is {found}; it must be ")),
            "{message}"
        );
    }
}

#[test]
fn values_out_of_range_are_refused_with_their_origin() {
    assert_eq!(
        refused("# A comment.\ncache_ttl_seconds = 0"),
        ":2: cache_ttl_seconds is 0; it must be from 1 to 3153600000"
    );
    for (line, rest) in [
        ("cache_max_capacity = 0", "it must be at least 1"),
        (
            "cache_max_capacity = -1",
            "is -1; it must be a whole number",
        ),
        (
            "cache_ttl_seconds = '5 minits'",
            "is \"5 minits\"; it must be a whole",
        ),
        ("cache_ttl_seconds = '200 years'", "it must be from 1 to"),
        (
            "entity_cache_max_bytes = '2 PiB'",
            "it must be from 0 to 1125899906842624",
        ),
        (
            "preset = 'small'",
            "is \"small\"; it must be default, high_traffic or",
        ),
        (
            "consistency = 'bounded 2 days'",
            "is bounded 172800s; it must be bounded by",
        ),
        (
            "consistency = 'strict'",
            "is \"strict\"; it must be automatic, local",
        ),
        ("limit_policy = 'drop'", "it must be reject or prune"),
        (
            "max_memories_per_entity = 'all'",
            "it must be a whole number",
        ),
    ] {
        let message = refused(line);
        assert!(
            message.starts_with(":1: ") && message.contains(rest),
            "{message}"
        );
    }
    assert_eq!(
        refused_variable("MEMORY_CACHE_TTI_SECONDS", "0"),
        "MEMORY_CACHE_TTI_SECONDS: cache_tti_seconds is 0; it must be from 1 to 3153600000"
    );
    assert_eq!(
        refused_variable("MEMORY_CACHE_MAX_CAPACITY", "many"),
        "MEMORY_CACHE_MAX_CAPACITY: cache_max_capacity is \"many\"; it must be a whole number, \
         such as 1000"
    );
    let in_code = Settings::builder().configure(|config| config.cache_ttl_seconds = 0);
    assert!(
        problem(in_code.build())
            .to_string()
            .starts_with("cache_ttl_seconds is 0")
    );
    // A value is checked although another source overrides it.
    let file = write("preset = 'small'");
    let overridden = Settings::builder().file(&file.path).preset(Preset::Default);
    problem(overridden.build());
    let file = write("cache_tti_seconds = 0");
    let variables = [("MEMORY_CACHE_TTI_SECONDS", "60")];
    let overridden = Settings::builder().file(&file.path).variables(variables);
    let message = problem(overridden.build()).to_string();
    let expected = ":1: cache_tti_seconds is 0; it must be from 1 to 3153600000";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn empty_files_marks_and_line_ends_are_accepted() {
    for text in ["", "\n", "# nothing\n", "\u{feff}", "\u{feff}# nothing"] {
        assert_eq!(read(text).unwrap(), Settings::default(), "{text:?}");
    }
    let settings = read("\u{feff}preset = 'low_memory'\r\ncache_ttl_seconds = 9\r\n").unwrap();
    assert_eq!(settings.config().cache_ttl_seconds, 9);
    let message = refused("\u{feff}\r\nx = 1");
    assert!(message.starts_with(":2: unknown setting x"), "{message}");
}

#[test]
fn files_that_are_not_toml_or_not_readable_are_refused() {
    for (text, line) in [
        ("preset =", ":1: "),
        ("a = 1\na = 2", ":2: "),
        ("\npreset: low", ":2: "),
    ] {
        let message = refused(text);
        assert!(message.starts_with(line), "{message}");
        assert!(message.contains("not valid TOML"), "{message}");
    }
    let utf16: Vec<u8> = "\u{feff}a = 1"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (bytes, reason) in [
        (utf16, "it is UTF-16; save it as UTF-8"),
        (vec![b'#', 0xff], "it is not UTF-8"),
        (vec![b'#'; 2 << 20], "it is larger than 1048576 bytes"),
    ] {
        let message = problem(read(bytes)).to_string();
        assert!(
            message.ends_with(&format!("cannot be read: {reason}")),
            "{message}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing.toml"), folder.path().to_owned()] {
        let found = problem(Settings::builder().file(&path).build());
        assert!(
            matches!(found.problem, SettingProblem::Unreadable { .. }),
            "{found}"
        );
        assert!(
            found.to_string().contains(&path.display().to_string()),
            "{found}"
        );
    }
}

#[test]
fn a_parser_error_repeats_no_line_of_the_file() {
    let message = refused("db = 'postgres://app:hunter2@host'\ndb = 'postgres://app:hunter2@host'");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn passwords_are_never_shown() {
    let url = "postgres://app:hunter2@host/db?password=hunter2";
    let settings = Settings::builder()
        .variables([("MEMORY_DB", url)])
        .build()
        .unwrap();
    assert_eq!(settings.db(), Some(url));
    let shown = format!("{settings:?} {:?}", settings.entries());
    assert!(
        !shown.contains("hunter2") && !shown.contains("app"),
        "{shown}"
    );
    let urls = format!(" {url}\n postgres://b/db ");
    let settings = Settings::builder()
        .variables([("MEMORY_DB_REPLICAS", urls)])
        .build()
        .unwrap();
    assert_eq!(settings.db_replicas(), [url, "postgres://b/db"]);
    let shown = format!("{settings:?} {:?}", settings.entries());
    assert!(
        shown.contains("postgres://…@host/db?… postgres://b/db"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    let file = write("db_replicas = 'postgres://b/db'");
    let variables = [("MEMORY_DB_REPLICAS", "none")];
    let none = Settings::builder().file(&file.path).variables(variables);
    assert_eq!(none.build().unwrap().db_replicas(), [""; 0]);
    let message = refused("db_replicas = 'hunter2 postgres://b/db'");
    assert!(!message.contains("hunter2"), "{message}");
    let builder = format!(
        "{:?}",
        Settings::builder()
            .db(url)
            .db_replicas([url])
            .variables([("MEMORY_DB", url)])
    );
    assert!(!builder.contains("hunter2"), "{builder}");
    let message = refused("db = ['hunter2']");
    assert!(!message.contains("hunter2"), "{message}");
    assert_eq!(
        refused("db = ' '"),
        ":1: db is invalid; it must be a database URL such as \"sqlite://agent.db\""
    );
}

#[test]
fn a_shared_cache_is_a_url_that_another_source_may_turn_off() {
    let url = "valkey://app:hunter2@cache:6379/0?namespace=game";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.toml");
    fs::write(&path, format!("shared_cache = '{url}'")).unwrap();
    let of_file = Settings::builder().file(&path).build().unwrap();
    assert_eq!(of_file.shared_cache(), Some(url));
    let shown = format!("{of_file:?} {:?}", of_file.entries());
    assert!(shown.contains("valkey://…@cache:6379/0?…"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");

    let variables = [("MEMORY_SHARED_CACHE", "none")];
    let off = Settings::builder().file(&path).variables(variables);
    assert_eq!(off.build().unwrap().shared_cache(), None);
    let off = Settings::builder().file(&path).shared_cache("none");
    let off = off.build().unwrap();
    assert_eq!(off.shared_cache(), None);
    assert_eq!(off.origin("shared_cache"), SettingOrigin::Code);
    let builder = Settings::builder().shared_cache(url);
    assert!(!format!("{builder:?}").contains("hunter2"));
    assert_eq!(builder.build().unwrap().shared_cache(), Some(url));

    assert_eq!(
        refused("shared_cache = 'app:hunter2@cache'"),
        ":1: shared_cache is invalid; it must be \"none\", or a URL such as \
         \"valkey://cache.example:6379\""
    );
}

#[test]
fn other_variables_and_empty_ones_are_ignored() {
    let others = OTHER_VARIABLES.iter().map(|name| (*name, "1"));
    let empty = KEYS.iter().map(|key| (key.variable(), ""));
    let settings = Settings::builder().variables(others).build().unwrap();
    assert_eq!(settings, Settings::default());
    let settings = Settings::builder().variables(empty).build().unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!(
        Settings::builder().variables(NONE).build().unwrap(),
        Settings::default()
    );
    for key in KEYS {
        assert!(
            !OTHER_VARIABLES.contains(&key.variable().as_str()),
            "{}",
            key.name
        );
    }
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_utf8_are_refused_by_name() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let value = OsStr::from_bytes(b"\xff").to_owned();
    let builder = Settings::builder().variables([(OsString::from("MEMORY_PRESET"), value)]);
    assert_eq!(
        problem(builder.build()).to_string(),
        "MEMORY_PRESET: preset is invalid; it must be UTF-8"
    );
}

/// docs/operations.md has one row for each key, with its variable, and one for each
/// other variable.
#[test]
fn documentation_lists_every_key_and_variable() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let text = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let documented: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.split('`'))
        .filter(|word| word.starts_with("MEMORY_"))
        .collect();
    let variables: Vec<String> = KEYS.iter().map(keys::Key::variable).collect();
    let known = variables.iter().map(String::as_str);
    let known: BTreeSet<&str> = known.chain(OTHER_VARIABLES.iter().copied()).collect();
    assert_eq!(documented, known);
    for (key, variable) in KEYS.iter().zip(&variables) {
        let start = format!("| `{}` | `{variable}` |", key.name);
        let row = rows.iter().find(|row| row.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row begins with {start}"));
        if key.name == "db" {
            continue;
        }
        // The defaults of the three presets.
        for preset in Preset::ALL {
            let value = format!("`{}`", (key.show)(&Values::of(preset)));
            assert!(row.contains(&value), "{value} is missing in {row}");
        }
    }
}
