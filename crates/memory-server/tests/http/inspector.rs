//! The files of the inspector. `cargo xtask inspector` opens the page in a browser.

use std::collections::BTreeSet;

use memory_server::{Access, ServerOptions, TokenScope, Tokens};

use crate::harness::TestServer;

struct PageFile {
    text: String,
    media_type: String,
    policy: String,
}

async fn fetch(server: &TestServer, path: &str) -> PageFile {
    let response = server.request("GET", path).send().await;
    let response = response.expect("it answers");
    assert_eq!(response.status().as_u16(), 200, "{path}");
    let header = |name: &str| {
        let value = response.headers().get(name);
        let value = value.and_then(|it| it.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    PageFile {
        media_type: header("content-type"),
        policy: header("content-security-policy"),
        text: response.text().await.expect("a whole file"),
    }
}

/// The files that a file names: `"/inspector/x"` in the page, `"./x"` in a script.
fn named(text: &str) -> Vec<String> {
    let quoted = text.split('"').skip(1).step_by(2);
    let paths = quoted.filter_map(|it| {
        it.strip_prefix("/inspector/")
            .or_else(|| it.strip_prefix("./"))
    });
    paths.map(|name| format!("/inspector/{name}")).collect()
}

#[tokio::test]
async fn the_page_and_all_that_it_names_are_served_without_a_token() {
    let server = TestServer::start(|folder| {
        let path = folder.path().join("tokens");
        let scope = TokenScope {
            entities: String::new(),
            access: Access::Read,
        };
        Tokens::create(&path, scope).expect("a token");
        ServerOptions::new().tokens(Tokens::open(path).expect("the file"))
    })
    .await;
    let page = fetch(&server, "/").await;
    assert_eq!(page.media_type, "text/html; charset=utf-8");
    let mut missing = named(&page.text);
    let mut seen = BTreeSet::new();
    while let Some(path) = missing.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let file = fetch(&server, &path).await;
        for allowed in ["unsafe", "http:", "https:", "data:", "*"] {
            assert!(!file.policy.contains(allowed), "{}", file.policy);
        }
        for required in ["default-src 'none'", "require-trusted-types-for 'script'"] {
            assert!(file.policy.contains(required), "{path}: {}", file.policy);
        }
        if file.media_type.starts_with("text/javascript") {
            missing.extend(named(&file.text));
        }
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
    let refused = server.get("/v1/entities").await;
    refused.problem(401, "unauthorized");
}
