//! Files for shells and for `man`.

use crate::test_dir::TestDir;

#[test]
fn each_command_has_a_manual_page() {
    let dir = TestDir::new();
    dir.run(&["man", "pages"]).code(0);
    let page = dir.read("pages/memory-recall.1");
    assert!(
        page.starts_with(".ie") && page.contains("min\\-relevance"),
        "{page}"
    );
    let root = dir.read("pages/memory.1");
    assert!(root.contains("Exit codes"), "{root}");
    assert!(!dir.path("memory.db").exists());
}

#[test]
fn completions_know_commands_and_options() {
    let dir = TestDir::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = dir.run(&["completions", shell]).code(0).out;
        assert!(
            script.contains("consolidate") && script.contains("min-relevance"),
            "{shell}: {script}"
        );
    }
    dir.run(&["--json", "completions", "cmd"]).fails(2, "usage");
}
