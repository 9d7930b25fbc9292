//! Query strings: what an endpoint does not have is refused, filters select.

use memory_server::ServerOptions;
use serde_json::json;

use crate::harness::{Answer, TestServer};

const MEMORIES: &str = "/v1/entities/mira/memories";

#[tokio::test]
async fn every_operation_refuses_query_parameters_that_it_does_not_have() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let document = server.get("/openapi.json").await;
    let paths = document.ok(200)["paths"].as_object().expect("paths");
    let mut checked = 0;
    for (path, item) in paths {
        let path = path
            .replace("{entity}", "mira")
            .replace("{id}", "0192d3a0-0000-7000-8000-000000000001")
            .replace("{to}", "0192d3a0-0000-7000-8000-000000000002");
        if path.starts_with("/health/") {
            // Health checks with a parameter of their caller, such as against caches.
            server.get(&format!("{path}?now=1")).await.ok(204);
            continue;
        }
        for (method, operation) in item.as_object().expect("operations") {
            let method = method.to_uppercase();
            let refused = server.send(&method, &format!("{path}?color=red"), "").await;
            let detail = refused.problem(400, "invalid_input");
            assert!(detail.contains("no query parameter \"color\""), "{detail}");
            let parameters = operation["parameters"].as_array();
            let mut in_query = parameters.into_iter().flatten();
            let has_any = in_query.any(|it| it["in"] == "query");
            assert_eq!(!has_any, detail.contains("it has no query"), "{detail}");
            checked += 1;
        }
    }
    assert!(checked > 25, "{checked} operations");
    for (path, says) in [
        (
            "/memories/0192d3a0-0000-7000-8000-000000000001?as_of=2026-03-01T09:30:00Z",
            "as_of",
        ),
        ("/export?limit=10", "limit"),
        ("/memories?limt=1", "it has limit, after, kind"),
        ("/memories?tag=a%FFb", "`tag` is not valid UTF-8"),
        ("/memories?%FF=1", "not valid UTF-8"),
        ("/memories?since=2026-03-01T09:30:00+02:00", "%2B"),
        ("/memories?tag_mode=some", "tag mode"),
        ("/memories?metadata=place", "KEY=VALUE"),
        ("/memories?metadata=a%3D1&metadata=a%3D2", "same key"),
        ("/memories?relates_to=x", "not a UUID"),
        (
            "/memories?tag=a&limit=ten&tag=b",
            "the query parameter `limit`",
        ),
        (
            "/memories?archived=perhaps",
            "the query parameter `archived`",
        ),
        (
            "/memories?after=a&kind=world&after=b",
            "the query parameter `after`",
        ),
        (
            "/memories?limit=ten&archived=perhaps",
            "a query parameter is",
        ),
    ] {
        let refused = server.get(&format!("/v1/entities/mira{path}")).await;
        let detail = refused.problem(400, "invalid_input");
        assert!(detail.contains(says), "{path}: {detail}");
    }
    let unclear = server.get(&format!("{MEMORIES}?since=yesterday")).await;
    assert!(!unclear.problem(400, "invalid_input").contains("%2B"));
    let head = server.send("HEAD", &format!("{MEMORIES}?limt=1"), "").await;
    assert_eq!(head.status, 400);
}

#[tokio::test]
async fn lists_have_the_filters_of_questions() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let target = "0192d3a0-0000-7000-8000-000000000001";
    let mut related = serde_json::Map::new();
    related.insert(target.to_owned(), "before".into());
    for memory in [
        json!({"content": "Plain.", "id": target}),
        json!({"content": "Tagged.", "tags": ["a", "b"]}),
        json!({"content": "Half.", "tags": ["a"], "metadata": {"sum": "1=1", "place": "mill"}}),
        json!({"content": "Linked.", "tags": ["c"], "related": related}),
    ] {
        server.post(MEMORIES, &memory.to_string()).await.ok(201);
    }
    for (query, expected) in [
        (
            "since=2020-03-01T09:30:00%2B02:00",
            vec!["Half.", "Linked.", "Plain.", "Tagged."],
        ),
        ("tag=a&tag=b", vec!["Half.", "Plain.", "Tagged."]),
        ("tag=a&tag=b&tag_mode=any-strict", vec!["Half.", "Tagged."]),
        ("tag=a&tag=b&tag_mode=all-strict", vec!["Tagged."]),
        ("metadata=place=mill", vec!["Half."]),
        ("metadata=place%3Dmill&metadata=sum%3D1%3D1", vec!["Half."]),
        ("metadata=place%3Dmill&metadata=sum%3D2", vec![]),
        (&format!("relates_to={target}"), vec!["Linked."]),
    ] {
        let page = server.get(&format!("{MEMORIES}?{query}")).await;
        let memories = page.ok(200)["memories"].as_array().expect("a page");
        let contents = memories.iter().map(|it| it["memory"]["content"].as_str());
        let mut contents: Vec<_> = contents.flatten().collect();
        contents.sort_unstable();
        assert_eq!(contents, expected, "{query}");
    }
}

#[tokio::test]
async fn a_parameter_without_a_value_is_refused_by_its_name() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let document = server.get("/openapi.json").await;
    let parameters = &document.ok(200)["paths"]["/v1/entities/{entity}/memories"]["get"];
    let parameters = parameters["parameters"].as_array().expect("parameters");
    let in_query = parameters.iter().filter(|it| it["in"] == "query");
    let names: Vec<&str> = in_query.filter_map(|it| it["name"].as_str()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        for query in [
            format!("{name}="),
            name.to_owned(),
            format!("limit=3&{name}="),
        ] {
            let refused = server.get(&format!("{MEMORIES}?{query}")).await;
            let detail = refused.problem(400, "invalid_input");
            let says = format!("the query parameter `{name}` is empty");
            assert!(detail.contains(&says), "{query}: {detail}");
        }
    }
}

/// Queries, bodies and tools take the same times, and compare the same with them.
#[tokio::test]
async fn a_time_means_the_same_wherever_it_is_given() {
    let server = TestServer::start(|_| ServerOptions::new()).await;
    let body = r#"{"content":"Rain.","timestamp":"2026-03-01T09:30:00.123456Z"}"#;
    let retained = server.post(MEMORIES, body).await;
    let id = retained.ok(201)["id"].clone();
    for (time, is_since, is_until) in [
        ("2026-03-01T09:30:00.123456Z", true, false),
        ("2026-03-01T09:30:00.1234567Z", false, true),
        ("2026-03-01T09:30:00.123455Z", true, false),
        ("2026-03-01T11:30:00.1234561+02:00", false, true),
    ] {
        for (bound, expected) in [("since", is_since), ("until", is_until)] {
            let context = format!("{bound}={time}");
            let query = time.replace('+', "%2B");
            let listed = server.get(&format!("{MEMORIES}?{bound}={query}")).await;
            let listed = listed.ok(200)["memories"].as_array().map(Vec::len);
            assert_eq!(listed, Some(usize::from(expected)), "list, {context}");
            let filter = json!({bound: time}).to_string();
            let counted = server.post("/v1/entities/mira/count", &filter).await;
            assert_eq!(counted.ok(200)["count"], u64::from(expected), "{context}");
            let question = json!({"text": "Rain?", "filter": {bound: time}}).to_string();
            let found = server.post("/v1/entities/mira/recall", &question).await;
            let found = found.ok(200)["memories"].as_array().map(Vec::len);
            assert_eq!(found, Some(usize::from(expected)), "recall, {context}");
            let (text, is_error) = server
                .call_tool("list", "mira", &json!({bound: time}))
                .await;
            assert!(!is_error && text.contains("Rain.") == expected, "{text}");
        }
    }
    for time in [
        "2026-03-01 09:30:00 +0200",
        "2026-03-01T09:30:00+0200",
        "2026-03-01",
    ] {
        let query = time.replace('+', "%2B").replace(' ', "%20");
        let bad = |answer: Answer| {
            answer.problem(400, "invalid_input");
        };
        bad(server.get(&format!("{MEMORIES}?since={query}")).await);
        bad(server.get(&format!("{MEMORIES}?as_of={query}")).await);
        let mut body = json!({"content": "Snow.", "timestamp": time});
        bad(server.post(MEMORIES, &body.to_string()).await);
        body = json!({"timestamp": time});
        let path = format!("{MEMORIES}/{}", id.as_str().expect("an id"));
        bad(server.send("PATCH", &path, &body.to_string()).await);
        body = json!({"since": time});
        let count = "/v1/entities/mira/count";
        bad(server.post(count, &body.to_string()).await);
        body = json!({"text": "Rain?", "as_of": time});
        let recall = "/v1/entities/mira/recall";
        bad(server.post(recall, &body.to_string()).await);
        for (tool, arguments) in [
            ("list", json!({"since": time})),
            ("recall", json!({"text": "Rain?", "as_of": time})),
            ("retain", json!({"content": "Snow.", "timestamp": time})),
            ("update", json!({"id": id, "timestamp": time})),
        ] {
            let (text, is_error) = server.call_tool(tool, "mira", &arguments).await;
            assert!(is_error, "{tool}: {text}");
        }
    }
}
