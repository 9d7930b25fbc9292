//! Query strings: what an endpoint does not have is refused, filters select.

use memory_server::ServerOptions;
use serde_json::json;

use crate::harness::TestServer;

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
