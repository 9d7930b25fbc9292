//! Users that may do what docs/shared-cache.md lists, and users that may do less.

use std::time::{Duration, Instant};

use memory_core::{ErrorKind, SharedCache, SharedGroup, SharedKey};
use memory_testkit::TraceLog;
use memory_valkey::ValkeyCache;

use crate::conformance::assert_conformant;
use crate::process::{ValkeyProcess, free_port};

const DOCS: &str = include_str!("../../../../docs/shared-cache.md");

const KEY: SharedKey = SharedKey::new(SharedGroup([1; 16]), [2; 16]);

/// The ACL rules that the documentation lists for a case.
fn documented(case: &str) -> Vec<&'static str> {
    let mut lines = DOCS.lines();
    let beginning = format!("- {case}: `");
    let rules = lines.find_map(|line| line.strip_prefix(&beginning));
    rules
        .unwrap()
        .split('`')
        .next()
        .unwrap()
        .split(' ')
        .collect()
}

/// Makes a user of these rules, and leaves no other.
fn add_user(server: &ValkeyProcess, rules: &[&str]) {
    let user = ["ACL", "SETUSER", "app", "on", ">secret"];
    let _: String = server.run(&[&user[..], rules].concat());
    let _: String = server.run(&["ACL", "SETUSER", "default", "off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_documented_rights_conforms() {
    let server = ValkeyProcess::start();
    add_user(&server, &documented("always"));
    assert_conformant(&server.url("user=app&pass=secret&namespace=game")).await;
    for (parameters, kind) in [
        ("user=app&pass=wrong", ErrorKind::Configuration),
        (
            "user=app&pass=secret&namespace=other",
            ErrorKind::Configuration,
        ),
    ] {
        let cache = ValkeyCache::open(&server.url(parameters)).unwrap();
        let refused = cache.get_many(&[KEY]).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_another_database_needs_one_command_more() {
    let server = ValkeyProcess::start();
    let rules = [documented("always"), documented("a database other than 0")].concat();
    let url = server.url("user=app&pass=secret&namespace=game&db=3");
    add_user(&server, &rules);
    assert_conformant(&url).await;

    let server = ValkeyProcess::start();
    let url = server.url("user=app&pass=secret&namespace=game&db=3");
    add_user(&server, &documented("always"));
    let refused = ValkeyCache::open(&url).unwrap().get_many(&[KEY]).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
    assert!(refused.to_string().contains("database"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_a_cluster_needs_the_commands_of_its_client() {
    let (port, bus) = (free_port().to_string(), free_port().to_string());
    let arguments = ["--cluster-enabled", "yes", "--port", &port];
    let server = ValkeyProcess::start_with(&[&arguments[..], &["--cluster-port", &bus]].concat());
    let _: String = server.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let started = Instant::now();
    while !server
        .run::<String>(&["CLUSTER", "INFO"])
        .contains("cluster_state:ok")
    {
        assert!(started.elapsed() < Duration::from_secs(60), "no cluster");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rules = [documented("always"), documented("`cluster=true`")].concat();
    add_user(&server, &rules);
    let url = format!("valkey://app:secret@127.0.0.1:{port}?cluster=true&namespace=game");
    assert_conformant(&url).await;
}

/// Nothing fails where the cache refuses, so that nobody would notice.
#[tokio::test]
async fn a_refusal_is_logged_once() {
    let server = ValkeyProcess::start();
    add_user(&server, &["resetchannels", "~game:*", "+time"]);
    let cache = ValkeyCache::open(&server.url("user=app&pass=secret&namespace=game")).unwrap();
    let warnings = TraceLog::warnings();
    let guard = tracing::subscriber::set_default(warnings.clone());
    for _ in 0..3 {
        cache.get_many(&[KEY]).await.unwrap_err();
    }
    drop(guard);
    let warnings = warnings.since(0);
    let own = warnings
        .lines()
        .filter(|line| line.contains("memory_valkey"));
    assert_eq!(own.count(), 1, "{warnings}");
    assert!(warnings.contains("Configuration"), "{warnings}");
    assert!(!warnings.contains("secret"), "{warnings}");
}
