//! Settings of the command: file, environment, command line.

use crate::test_dir::{TestDir, path_str};

#[test]
fn a_misspelled_setting_is_refused_before_anything_is_created() {
    let dir = TestDir::new();
    dir.write(
        "memory.toml",
        "preset = 'low_memory'\ncache_ttl_second = 5\n",
    );
    let config = ["--json", "--config", "memory.toml"];
    let message = dir
        .run(&[&config[..], &["migrate"]].concat())
        .fails(2, "configuration");
    assert_eq!(
        message,
        "configuration: memory.toml:2: unknown setting cache_ttl_second; did you mean \
         cache_ttl_seconds?"
    );
    assert_eq!(dir.names(), ["memory.toml"], "nothing was created");

    let mut migrate = dir.command(&["migrate"]);
    migrate.env("MEMORY_CACHE_MAX_CAPACITY", "many");
    let output = migrate.output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.contains("MEMORY_CACHE_MAX_CAPACITY: cache_max_capacity is \"many\""),
        "{error}"
    );
    let missing = dir.run(&["--json", "--config", "none.toml", "migrate"]);
    let message = missing.fails(2, "configuration");
    assert!(message.contains("none.toml: the settings file cannot be read"));
}

#[test]
fn command_line_precedes_environment_and_file() {
    let dir = TestDir::new();
    dir.write("memory.toml", "db = 'sqlite://file.db'\n");
    let created = |dir: &TestDir| {
        let mut names = dir.names();
        names.retain(|name| name.ends_with(".db"));
        names
    };
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = dir.command(arguments);
        command.envs(variables.iter().copied());
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    };
    run(&["migrate"], &[("MEMORY_CONFIG", "memory.toml")]);
    assert_eq!(created(&dir), ["file.db"]);
    let variable = ("MEMORY_DB", "sqlite://env.db");
    run(&["--config", "memory.toml", "migrate"], &[variable]);
    assert_eq!(created(&dir), ["env.db", "file.db"]);
    let options = ["--config", "memory.toml", "--db", "sqlite://option.db"];
    run(&[&options[..], &["migrate"]].concat(), &[variable]);
    assert_eq!(created(&dir), ["env.db", "file.db", "option.db"]);
}

#[test]
fn the_limit_of_the_settings_file_holds() {
    let dir = TestDir::new();
    dir.write("memory.toml", "max_memories_per_entity = 1\n");
    let retain = |text| dir.run(&["--json", "--config", "memory.toml", "retain", "mira", text]);
    retain("Rain.").code(0);
    retain("Snow.").fails(5, "limit_reached");
}

#[test]
fn the_doctor_prints_settings_with_their_sources_and_no_password() {
    let dir = TestDir::new();
    dir.write("memory.toml", "preset = 'low_memory'\n");
    let empty = dir.path("cache");
    let doctor = |arguments: &[&str]| {
        let mut command = dir.command(arguments);
        command
            .env("MEMORY_CACHE_DIR", path_str(&empty))
            .env("MEMORY_CONFIG", "memory.toml")
            .env("MEMORY_CACHE_TTL_SECONDS", "5 min")
            .env("MEMORY_DB", "postgres://app:hunter2@127.0.0.1:1/db");
        let output = command.output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).expect("output is UTF-8")
    };
    let text = doctor(&["doctor"]);
    for line in [
        "db = postgres://…@127.0.0.1:1/db  (MEMORY_DB)",
        "preset = low_memory  (memory.toml:1)",
        "cache_max_capacity = 1000  (preset low_memory)",
        "cache_ttl_seconds = 5m  (MEMORY_CACHE_TTL_SECONDS)",
        "limit_policy = reject  (default)",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    let json = doctor(&["--json", "doctor"]);
    let line = "{\"key\":\"preset\",\"value\":\"low_memory\",\"source\":\"memory.toml:1\"}";
    assert!(json.contains(line), "{json}");
    assert!(!text.contains("hunter2") && !json.contains("hunter2"));
}

#[test]
fn a_shared_cache_that_cannot_be_used_is_refused_before_anything_is_created() {
    let dir = TestDir::new();
    dir.write("memory.toml", "shared_cache = 'http://app:hunter2@cache'\n");
    let named = match cfg!(feature = "valkey") {
        true => "unsupported scheme \"http\"",
        false => "--features valkey",
    };
    let config = ["--json", "--config", "memory.toml"];
    for command in [&["migrate"][..], &["list", "mira"], &["serve"]] {
        let message = dir.run(&[&config[..], command].concat());
        let message = message.fails(2, "configuration");
        assert!(message.contains(named), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    assert_eq!(dir.names(), ["memory.toml"], "nothing was created");
    let off = [&config[..], &["--shared-cache", "none", "migrate"]].concat();
    dir.run(&off).code(0);
}

#[test]
fn a_model_is_chosen_by_option_variable_and_file() {
    let dir = TestDir::new();
    dir.write("memory.toml", "model = 'of-file'\n");
    let message = |arguments: &[&str], variable: &str| {
        let mut command = dir.command(&[&["--config", "memory.toml"], arguments].concat());
        let output = command.env("MEMORY_MODEL", variable).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let retain = ["retain", "mira", "Rain."];
    let of_file = message(&retain, "");
    assert!(of_file.contains("models/of-file"), "{of_file}");
    assert!(of_file.contains("multilingual-e5-small"), "{of_file}");
    let of_variable = message(&retain, "of-variable");
    assert!(of_variable.contains("models/of-variable"), "{of_variable}");
    let path = [&["--model", "./mine"][..], &retain].concat();
    let of_option = message(&path, "of-variable");
    assert!(of_option.contains("./mine does not exist"), "{of_option}");
    assert!(!of_option.contains("memory setup"), "{of_option}");
    assert_eq!(dir.names(), ["memory.toml"], "nothing was created");

    let default = [&["--model", "default"][..], &retain].concat();
    dir.run(&default).code(0);
    let setup = dir.run(&["--json", "setup", "--model", "bge"]);
    let message = setup.fails(2, "usage");
    assert!(message.contains("multilingual-e5-small"), "{message}");
}
