//! Faults of the server.

use std::time::Duration;

use memory_core::{ErrorKind, SharedCache, SharedEntry, SharedGroup, SharedKey};
use memory_valkey::ValkeyCache;

use crate::process::ValkeyProcess;

const KEY: SharedKey = SharedKey::new(SharedGroup([1; 16]), [2; 16]);

async fn entry(cache: &ValkeyCache, key: SharedKey, bytes: Vec<u8>) -> SharedEntry {
    SharedEntry {
        key,
        version: 1,
        as_of: cache.get_many(&[key]).await.unwrap()[0].now,
        bytes,
        ttl: Duration::from_secs(60),
    }
}

async fn put(cache: &ValkeyCache, bytes: &[u8]) -> bool {
    let entry = entry(cache, KEY, bytes.to_vec()).await;
    cache.put_many(&[entry]).await.unwrap() == [true]
}

async fn value(cache: &ValkeyCache) -> Option<Vec<u8>> {
    let lookups = cache.get_many(&[KEY]).await.unwrap();
    lookups
        .into_iter()
        .next()
        .unwrap()
        .value
        .map(|value| value.bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_an_error_and_used_again_when_it_is_back() {
    let mut server = ValkeyProcess::start();
    let cache = ValkeyCache::open(&server.url("")).unwrap();
    assert!(put(&cache, b"value").await);
    server.kill();
    for _ in 0..2 {
        let error = cache.get_many(&[KEY]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    // It knows no script any more.
    server.restart();
    assert_eq!(value(&cache).await, None);
    assert!(put(&cache, b"again").await);
    assert_eq!(value(&cache).await, Some(b"again".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_an_error_and_answers_later() {
    let server = ValkeyProcess::start();
    let cache = ValkeyCache::open(&server.url("")).unwrap();
    assert!(put(&cache, b"value").await);
    server.signal("STOP");
    let silent = cache.get_many(&[KEY]).await;
    let dropped = tokio::time::timeout(Duration::from_millis(5), cache.get_many(&[KEY])).await;
    server.signal("CONT");
    assert_eq!(silent.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(dropped.is_err());
    assert_eq!(value(&cache).await, Some(b"value".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_others_damaged_are_missing() {
    let server = ValkeyProcess::start();
    let cache = ValkeyCache::open(&server.url("")).unwrap();
    assert!(put(&cache, b"value").await);
    let keys: Vec<String> = server.run(&["KEYS", "*"]);
    let key = &keys[0];
    let _: i64 = server.run(&["SETRANGE", key, "22", "X"]);
    assert_eq!(value(&cache).await, None, "another byte");
    let _: String = server.run(&["SET", key, "short"]);
    assert_eq!(value(&cache).await, None, "another text");
    assert!(put(&cache, b"again").await);
    let _: i64 = server.run(&["DEL", key]);
    let _: i64 = server.run(&["RPUSH", key, "list"]);
    assert_eq!(value(&cache).await, None, "another type");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_memory_is_full_puts_are_refused_and_removals_are_not() {
    let server = ValkeyProcess::start_with(&["--maxmemory-policy", "noeviction"]);
    let cache = ValkeyCache::open(&server.url("")).unwrap();
    assert!(put(&cache, b"value").await);
    let _: String = server.run(&["CONFIG", "SET", "maxmemory", "1"]);
    let other = SharedKey::new(KEY.group, [3; 16]);
    let refused = entry(&cache, other, vec![7; 1_000]).await;
    assert_eq!(cache.put_many(&[refused]).await.unwrap(), [false]);
    assert_eq!(value(&cache).await, Some(b"value".to_vec()));
    cache.remove_many(&[KEY], 1).await.unwrap();
    assert_eq!(value(&cache).await, None);
    cache.remove_group(&KEY.group, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_share_nothing_and_flushing_removes_all() {
    let server = ValkeyProcess::start();
    let cache = ValkeyCache::open(&server.url("namespace=one")).unwrap();
    let same = ValkeyCache::open(&server.url("namespace=one")).unwrap();
    let other = ValkeyCache::open(&server.url("namespace=two")).unwrap();
    assert!(put(&cache, b"value").await);
    assert_eq!(value(&same).await, Some(b"value".to_vec()));
    assert_eq!(value(&other).await, None);
    other.remove_group(&KEY.group, 9).await.unwrap();
    assert_eq!(value(&same).await, Some(b"value".to_vec()));
    let _: String = server.run(&["FLUSHALL"]);
    assert_eq!(value(&same).await, None);
}

/// A clock that was set back leaves no value after its removal.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_from_the_future_is_removed_too() {
    let server = ValkeyProcess::start();
    let cache = ValkeyCache::open(&server.url("")).unwrap();
    assert!(put(&cache, b"value").await);
    let keys: Vec<String> = server.run(&["KEYS", "*"]);
    let before: Vec<u8> = server.run(&["GET", &keys[0]]);
    // An hour more; the checksum no longer matters.
    let time = u64::from_be_bytes(before[8..16].try_into().unwrap()) + 3_600_000_000;
    let escaped = [&before[..8], &time.to_be_bytes(), &before[16..]].concat();
    let mut admin = redis::Client::open(server.url(""))
        .unwrap()
        .get_connection()
        .unwrap();
    redis::cmd("SET")
        .arg(&keys[0])
        .arg(escaped)
        .exec(&mut admin)
        .unwrap();
    cache.remove_many(&[KEY], 1).await.unwrap();
    let after: Vec<u8> = server.run(&["GET", &keys[0]]);
    assert_eq!(after.len(), 17, "a removal");
    assert_eq!(after[8..16], (time + 1).to_be_bytes());
}
