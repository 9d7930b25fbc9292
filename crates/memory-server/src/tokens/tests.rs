//! Tokens of files that are edited, replaced, damaged and appended to.

use super::*;

fn scope(entities: &str, access: Access) -> TokenScope {
    TokenScope {
        entities: entities.to_owned(),
        access,
    }
}

#[test]
fn tokens_are_found_by_their_secret_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let made = Tokens::create(&path, scope("npc-", Access::Read)).unwrap();
    let other = Tokens::create(&path, scope("", Access::Write)).unwrap();
    let tokens = Tokens::open(&path).unwrap();
    assert_eq!(
        tokens.scope_of(&made.token),
        Some((&*made.id, scope("npc-", Access::Read)))
    );
    assert_eq!(
        tokens.scope_of(&other.token),
        Some((&*other.id, scope("", Access::Write)))
    );
    let swapped = made.token.replace(&made.id, &other.id);
    for wrong in ["", "mem_", "mem__", "mem_x_y", &made.token[..20], &swapped] {
        assert_eq!(tokens.scope_of(wrong), None, "{wrong}");
    }
    let stored = fs::read_to_string(&path).unwrap();
    let secret = made.token.rsplit('_').next().unwrap();
    assert!(!stored.contains(secret), "only the hash is stored");
}

#[test]
fn scopes_are_prefixes_and_write_includes_read() {
    let read = scope("npc-", Access::Read);
    assert!(read.allows("npc-1", Access::Read));
    assert!(!read.allows("npc-1", Access::Write));
    assert!(!read.allows("user-1", Access::Read));
    assert!(scope("", Access::Write).allows("anyone", Access::Read));
}

#[test]
fn malformed_files_are_refused_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, "\n{\"id\":\"a\"}\n").unwrap();
    let error = Tokens::open(&path).unwrap_err();
    assert!(
        error.to_string().starts_with("line 2 of the file"),
        "{error}"
    );
}
/// The file is looked at with the next token.
fn expire(tokens: &Tokens) {
    let mut state = tokens.state.lock().unwrap();
    state.checked = Instant::now().checked_sub(CHECK_INTERVAL).unwrap();
}

#[test]
fn an_edited_file_gets_further_tokens_and_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let first = Tokens::create(&path, scope("a", Access::Read)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for edited in [
        text.trim_end().to_owned(),
        format!("\u{feff}{}", text.trim_end()),
        text.replace('\n', "\r\n"),
        format!("\r\n{}\r", text.trim_end()),
        format!("\n\n{text}\n \n"),
    ] {
        fs::write(&path, &edited).unwrap();
        let second = Tokens::create(&path, scope("b", Access::Write)).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        for made in [&first, &second] {
            assert!(tokens.scope_of(&made.token).is_some(), "{edited:?}");
        }
    }
}

#[test]
fn a_token_is_not_appended_to_a_file_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let made = |text: &[u8]| {
        fs::write(&path, text).unwrap();
        let outcome = Tokens::create(&path, scope("", Access::Read));
        assert_eq!(fs::read(&path).unwrap(), text, "nothing is written");
        outcome.unwrap_err().to_string()
    };
    assert!(made(b"{\"id\":\"a\"").starts_with("line 1 of the file"));
    assert!(made(b"\nmine\n").starts_with("line 2 of the file"));
    assert!(made(b"\xff\xfe{\0").contains("cannot use the file of tokens"));
    let in_folder = Tokens::create(folder.path(), scope("", Access::Read));
    assert!(matches!(in_folder, Err(TokensError::Io { .. })));
    let in_missing = Tokens::create(path.join("no/tokens"), scope("", Access::Read));
    assert!(matches!(in_missing, Err(TokensError::Io { .. })));
}

#[test]
fn tokens_that_are_made_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, "\n\n ").unwrap();
    let made: Vec<NewToken> = std::thread::scope(|threads| {
        let create = || Tokens::create(&path, scope("", Access::Read)).unwrap();
        let running: Vec<_> = (0..16).map(|_| threads.spawn(create)).collect();
        let made = running.into_iter().map(|thread| thread.join().unwrap());
        made.collect()
    });
    let tokens = Tokens::open(&path).unwrap();
    for token in made {
        assert!(tokens.scope_of(&token.token).is_some());
    }
}

#[test]
fn a_replaced_file_revokes_its_tokens_whatever_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("tokens"), folder.path().join("other"));
    let revoked = Tokens::create(&path, scope("", Access::Read)).unwrap();
    let valid = Tokens::create(&other, scope("", Access::Read)).unwrap();
    let tokens = Tokens::open(&path).unwrap();
    assert!(tokens.scope_of(&revoked.token).is_some());
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let file = fs::File::options().write(true).open(&other).unwrap();
    file.set_modified(modified).unwrap();
    fs::rename(&other, &path).unwrap();
    expire(&tokens);
    // Both files have the same length.
    assert_eq!(tokens.scope_of(&revoked.token), None);
    assert!(tokens.scope_of(&valid.token).is_some());
}

#[test]
fn a_file_that_becomes_unusable_allows_nothing_until_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let made = Tokens::create(&path, scope("", Access::Read)).unwrap();
    let text = fs::read(&path).unwrap();
    let tokens = Tokens::open(&path).unwrap();
    let is_accepted = || {
        expire(&tokens);
        tokens.scope_of(&made.token).is_some()
    };
    for half in [0, 1, text.len() / 2, text.len() - 2] {
        fs::write(&path, &text[..half]).unwrap();
        assert!(!is_accepted(), "{half}");
        fs::write(&path, &text).unwrap();
        assert!(is_accepted(), "{half}");
    }
    fs::remove_file(&path).unwrap();
    assert!(!is_accepted());
    fs::create_dir(&path).unwrap();
    assert!(!is_accepted());
    fs::remove_dir(&path).unwrap();
    fs::write(&path, &text).unwrap();
    assert!(is_accepted());
}

#[test]
fn only_what_a_failed_write_left_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    for (text, is_locked, rest) in [
        ("before\n{\"id", true, "before\n"),
        // Another process wrote without a lock, or may have.
        ("before\n{\"idother\n", true, "before\n{\"idother\n"),
        ("before\n{\"id", false, "before\n{\"id"),
        ("bef", true, "bef"),
    ] {
        fs::write(&path, text).unwrap();
        let file = fs::File::options().append(true).open(&path).unwrap();
        take_back(&file, 7, 4, is_locked).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), rest, "{text:?}");
    }
}

#[test]
fn what_is_written_before_a_failure_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, "").unwrap();
    let mut written = 0;
    let mut file = fs::File::open(&path).unwrap();
    assert!(append(&mut file, "line\n", &mut written).is_err());
    assert_eq!(written, 0);
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    append(&mut file, "line\n", &mut written).unwrap();
    assert_eq!(written, 5);
}

#[test]
fn an_open_file_that_was_replaced_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("file"), folder.path().join("other"));
    let file = fs::File::create(&path).unwrap();
    assert!(is_at(&file, &path));
    if cfg!(unix) {
        fs::write(&other, "").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(!is_at(&file, &path));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_tokens_of_a_pipe_stay() {
    use std::os::fd::AsRawFd;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let made = Tokens::create(&path, scope("", Access::Read)).unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&fs::read(&path).unwrap()).unwrap();
    drop(writer);
    let tokens = Tokens::open(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap();
    for _ in 0..2 {
        expire(&tokens);
        assert!(tokens.scope_of(&made.token).is_some());
    }
}
