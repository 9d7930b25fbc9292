//! The inspector in a browser, served by the command, with the real model.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::browser::Browser;
use crate::serving::Serving;
use crate::test_dir::TestDir;

/// Memories of a character: a pair that says the same, a link, and markup.
const STORY: &str = r#"{"id":"0192d3a0-0000-7000-8000-000000000001","content":"Tam sold me a lame horse at the spring market.","timestamp":"2026-03-01T09:00:00Z","tags":["market"],"entities":{"tam":"seller"},"importance":0.8,"context":"market day"}
{"id":"0192d3a0-0000-7000-8000-000000000002","content":"The farrier says the horse had been lame for months.","timestamp":"2026-03-02T09:00:00Z","tags":["market"],"related":{"0192d3a0-0000-7000-8000-000000000001":"explains"},"context":"market day"}
{"content":"Tam swore that the horse was sound when I paid.","timestamp":"2026-03-02T18:00:00Z","kind":"opinion","entities":{"tam":"seller"}}
{"content":"The mill stands north of the bridge.","kind":"world","timestamp":"2026-03-03T09:00:00Z","metadata":{"place":"mill"}}
{"content":"The ferry stops at dusk.","timestamp":"2026-03-04T18:00:00Z"}
{"content":"the ferry stops at dusk","timestamp":"2026-03-05T18:00:00Z"}
{"content":"Old Harl paid for the new bridge with his own silver.","timestamp":"2026-03-06T09:00:00Z","kind":"observation"}
{"content":"<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> is what the stranger wrote on the wall.","timestamp":"2026-03-07T09:00:00Z"}
"#;

const WRITING: &str = "<script>document.title='owned'</script><img src=x \
                       onerror=\"document.title='owned'\"> is what the stranger wrote on the wall.";

/// An entity whose name is neither a path nor markup.
const ODD_ENTITY: &str = "npc/<i>7</i>?#é";

/// The tokens of the server.
struct MadeTokens {
    /// It may do everything.
    full: String,
    /// It may read entities whose names start with `npc/`.
    limited: String,
}

/// A database with the story, consolidated, and tokens for it.
fn prepare(dir: &TestDir) -> MadeTokens {
    dir.run_on(&["import", "-", "--entity", "mira"], STORY)
        .code(0);
    dir.run(&["consolidate", "mira"]).code(0);
    dir.run(&["retain", ODD_ENTITY, "The gate is shut."])
        .code(0);
    let make = |options: &[&str]| {
        let made = dir.run(&[&["--json", "token", "tokens"], options].concat());
        let made = made.code(0).json();
        made["token"].as_str().expect("a token").to_owned()
    };
    MadeTokens {
        full: make(&["--access", "write"]),
        limited: make(&["--entities", "npc/"]),
    }
}

#[test]
#[ignore = "needs Chromium: `cargo xtask inspector` runs it"]
fn memories_are_found_explained_and_restored_in_a_browser() {
    let dir = TestDir::new();
    let tokens = prepare(&dir);
    let options = ["--listen", "127.0.0.1:0", "--tokens", "tokens"];
    let mut server = Serving::start(&dir, &options);
    let mut browser = Browser::start();
    browser.show_as(1200, 900, "light");
    browser.open(&server.address);

    enter_token(&mut browser, &tokens.full);
    search(&mut browser);
    explain(&mut browser);
    take_pictures(&mut browser);
    show_markup_as_text(&mut browser);
    walk_the_timeline(&mut browser);
    undo(&mut browser);
    watch_caches(&mut browser);
    open_odd_entity(&mut browser);
    change_token(&mut browser, &tokens.limited);

    assert!(browser.errors.is_empty(), "{:?}", browser.errors);
    assert!(server.end("TERM").success());
    let listed = dir.run(&["--json", "list", "mira"]).code(0).json();
    assert_eq!(listed["memories"].as_array().map(Vec::len), Some(8));
}

#[track_caller]
fn assert_named(browser: &mut Browser) {
    let unnamed = browser.unnamed();
    assert!(unnamed.is_empty(), "{unnamed:#?}");
}

/// The token is asked for, again if it is wrong, and stays in the tab.
fn enter_token(browser: &mut Browser, token: &str) {
    let asked = "document.activeElement?.matches('dialog[open] [name=token]')";
    browser.wait_for(asked);
    browser.write("mem_wrong_token");
    browser.press("Enter");
    browser.wait_for("document.querySelector('dialog').innerText.includes('does not accept')");
    browser.wait_for(asked);
    browser.write(token);
    browser.press("Enter");
    browser.wait_for("document.querySelectorAll('#entities [data-entity]').length === 2");
    assert_eq!(browser.evaluate("localStorage.length"), 0);
    assert_eq!(browser.evaluate("document.cookie"), "");
    assert_eq!(
        browser.evaluate("Object.values(sessionStorage)"),
        json!([token])
    );
    assert_named(browser);
}

/// By keyboard alone, once an entity is chosen.
fn search(browser: &mut Browser) {
    browser.click("#entities [data-entity=mira]");
    browser.wait_for("document.querySelector('#main .counts')?.innerText.includes('2 archived')");
    browser.wait_for("document.activeElement.tagName === 'H1'");
    browser.press("/");
    browser.wait_for("document.activeElement.name === 'q'");
    browser.write("Who sold me the horse?");
    browser.press("Enter");
    let first = browser.text(".results li .content");
    assert_eq!(first, "Tam sold me a lame horse at the spring market.");
    let status = browser.text("#status");
    assert!(status.ends_with("memories found"), "{status}");
    let title = browser.evaluate("document.title");
    assert!(
        title.as_str().is_some_and(|it| it.starts_with("Who sold")),
        "{title}"
    );
}

/// Every score has its parts as bars, which add up to it.
fn explain(browser: &mut Browser) {
    let open = "document.querySelectorAll('.why[open]').length";
    assert_eq!(browser.evaluate(open), 0);
    browser.click(".why summary");
    browser.wait_for(&format!("{open} === 1"));
    browser.click("#explain-all");
    browser.wait_for("document.querySelectorAll('.why:not([open])').length === 0");
    let wrong = browser.evaluate(
        "[...document.querySelectorAll('.results article')].filter((hit) => {
            const figure = (it) => Number(it.textContent.replace('−', '-').replace('+', ''));
            const parts = [...hit.querySelectorAll('.parts .figure')].map(figure);
            const score = figure(hit.querySelector('.figures dd'));
            const bars = [...hit.querySelectorAll('.bar')];
            const drawn = bars.every((bar) => bar.getBoundingClientRect().width > 0);
            const sum = parts.reduce((a, b) => a + b, 0);
            return parts.length < 2 || !drawn || Math.abs(sum - score) > 0.01;
        }).map((hit) => hit.innerText)",
    );
    assert_eq!(wrong, json!([]));
    assert_named(browser);
}

/// Light, dark and as wide as a phone, where nothing is cut off.
fn take_pictures(browser: &mut Browser) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    browser.evaluate("scrollTo(0, 0)");
    let mut backgrounds = Vec::new();
    for (name, width, height, scheme) in [
        ("light", 1200, 900, "light"),
        ("dark", 1200, 900, "dark"),
        ("phone", 390, 844, "light"),
    ] {
        browser.show_as(width, height, scheme);
        browser.save_picture(&folder.join(format!("inspector-{name}.png")));
        backgrounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
        let overflow = "document.documentElement.scrollWidth - innerWidth";
        assert_eq!(browser.evaluate(overflow), 0, "{name}");
    }
    assert_ne!(backgrounds[0], backgrounds[1]);
    browser.show_as(1200, 900, "light");
}

fn show_markup_as_text(browser: &mut Browser) {
    browser.evaluate("location.hash = '#/entity/mira/search?q=What+did+the+stranger+write%3F'");
    browser.wait_for("document.title.startsWith('What did')");
    assert_eq!(browser.text(".results li .content"), WRITING);
    let elements = "document.querySelectorAll('main script, main img').length";
    assert_eq!(browser.evaluate(elements), 0);
}

/// The timeline, and from it a memory with its links and its history.
fn walk_the_timeline(browser: &mut Browser) {
    browser.press("2");
    browser.wait_for("document.querySelectorAll('.days article').length === 7");
    browser.wait_for("document.querySelectorAll('.histogram rect').length === 7");
    assert_eq!(
        browser.evaluate("document.title"),
        "Timeline of mira · memory inspector"
    );
    assert_named(browser);
    browser.press("j");
    let focused = "document.activeElement.closest('article')";
    browser.wait_for(&format!("{focused}?.innerText.includes('stranger')"));
    for _ in 0..5 {
        browser.press("j");
    }
    browser.wait_for(&format!("{focused}?.innerText.includes('farrier')"));
    browser.press("Enter");
    let relation = browser.text(".relations li");
    assert!(
        relation.contains("explains") && relation.contains("lame horse"),
        "{relation}"
    );
    let history = browser.text(".history");
    assert!(
        history.contains("It happened.") && history.contains("It was stored."),
        "{history}"
    );
    assert_named(browser);
}

/// A consolidation is undone, after a question.
fn undo(browser: &mut Browser) {
    browser.press("3");
    let summary = browser.text(".group .content");
    assert!(
        summary
            .to_lowercase()
            .starts_with("the ferry stops at dusk"),
        "{summary}"
    );
    assert_eq!(
        browser.evaluate("document.querySelectorAll('.group details article').length"),
        2
    );
    assert_named(browser);
    browser.click(".group .undo");
    browser.wait_for("document.querySelector('dialog[open]')");
    browser.press("Enter");
    browser.wait_for("document.querySelector('#status').innerText === '2 memories restored'");
    browser.wait_for("document.querySelectorAll('.group').length === 0");
    let counts = browser.text("#main .counts");
    assert!(counts.starts_with("8 memories · 0 archived"), "{counts}");
}

/// The counters move while they are watched.
fn watch_caches(browser: &mut Browser) {
    browser.press("4");
    let points = "document.querySelector('.sparkline polyline')?.getAttribute('points').split(' ')";
    browser.wait_for(&format!("{points}.length >= 3"));
    assert_eq!(
        browser.evaluate("document.querySelectorAll('.tiers tbody tr').length"),
        3
    );
    let embedded = browser.text(".figures dd");
    assert!(
        embedded.parse::<u32>().expect("a number") >= 2,
        "{embedded}"
    );
    assert_named(browser);
    browser.set_offline(true);
    let problems = "document.querySelectorAll('.problem').length";
    browser.wait_for(&format!("{problems} === 1"));
    // The next reading fails as well, and adds nothing.
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(browser.evaluate(problems), 1);
    browser.set_offline(false);
    browser.wait_for(&format!("{problems} === 0"));
}

fn open_odd_entity(browser: &mut Browser) {
    browser.press("e");
    browser.wait_for("document.activeElement.name === 'entity'");
    browser.write(ODD_ENTITY);
    browser.press("Enter");
    browser.wait_for("document.querySelector('#main .counts')?.innerText.startsWith('1 memory')");
    let heading = browser.text("#main h1");
    assert_eq!(heading, format!("Search {ODD_ENTITY}"));
    let current = browser.text("#entities [aria-current]");
    assert_eq!(current, ODD_ENTITY);
}

/// A token shows what it covers, and does not say what else exists.
fn change_token(browser: &mut Browser, token: &str) {
    browser.click("#forget-token");
    browser.wait_for("document.activeElement?.matches('dialog[open] [name=token]')");
    browser.write(token);
    browser.press("Enter");
    browser.wait_for("document.querySelectorAll('#entities [data-entity]').length === 1");
    assert_eq!(browser.text("#entities [data-entity]"), ODD_ENTITY);
    let mut answers = Vec::new();
    for entity in ["mira", "nobody"] {
        browser.evaluate("document.querySelector('.view').className = 'before'");
        browser.evaluate(&format!("location.hash = '#/entity/{entity}/timeline'"));
        browser.wait_for("document.querySelector('.view')");
        answers.push(browser.text("#main"));
    }
    assert!(answers[0].contains("Not allowed"), "{answers:?}");
    assert_eq!(answers[0].replace("mira", "nobody"), answers[1]);
}
