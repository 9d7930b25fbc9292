//! What the dashboard and the alert rules name is served by a run of the program.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// How long the program may take to serve every metric, and a scrape.
const LIMIT: Duration = Duration::from_secs(120);

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/observability")
}

fn yaml(name: &str) -> Yaml {
    let text = fs::read_to_string(docs().join(name)).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

/// The program, stopped when it is dropped.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let child = Command::new(env!("CARGO_BIN_EXE_observability"))
            .args(["--listen", &address.to_string()])
            .spawn()
            .unwrap();
        Self { child, address }
    }

    /// The text that it serves; `None` while it does not listen yet.
    fn scrape(&self) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        Some(response)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The names of metrics in an expression or in served text.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_name(c));
    words
        .filter(|word| word.starts_with("memory_"))
        .map(str::to_owned)
        .collect()
}

/// The names of series in served text; comments are none.
fn served(text: &str) -> BTreeSet<String> {
    let series = text.lines().filter(|line| line.starts_with("memory_"));
    series
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

fn dashboard_names() -> BTreeSet<String> {
    let text = fs::read_to_string(docs().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .flat_map(|target| names(target["expr"].as_str().unwrap()))
        .collect()
}

/// What a rule watches and the program does not serve, as it has no shared cache.
const WITHOUT_SHARED_CACHE: &str = "memory_shared_cache_unavailable";

fn rule_names() -> BTreeSet<String> {
    let rules = yaml("alerts.yml");
    let groups = rules["groups"].as_vec().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap());
    rules
        .flat_map(|rule| names(rule["expr"].as_str().unwrap()))
        .collect()
}

#[test]
fn every_metric_of_dashboard_and_rules_is_served() {
    let (dashboard, rules) = (dashboard_names(), rule_names());
    assert!(dashboard.len() > 30 && rules.len() > 8);
    let mut named: BTreeSet<String> = dashboard.union(&rules).cloned().collect();
    assert!(named.remove(WITHOUT_SHARED_CACHE));
    let program = Program::start();
    let started = Instant::now();
    loop {
        let served = program
            .scrape()
            .map(|text| served(&text))
            .unwrap_or_default();
        let missing: Vec<&String> = named.difference(&served).collect();
        if missing.is_empty() {
            break;
        }
        assert!(started.elapsed() < LIMIT, "not served: {missing:?}");
        thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn the_compose_file_mounts_files_that_exist_and_scrapes_the_program() {
    let compose = yaml("compose.yml");
    let services = compose["services"].as_hash().unwrap();
    let mut mounted = 0;
    for (name, service) in services {
        for volume in service["volumes"].as_vec().unwrap() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            if source.starts_with('.') {
                assert!(docs().join(source).exists(), "{name:?}: {source}");
                mounted += 1;
            }
        }
    }
    assert!(mounted >= 5);
    let scrape = &yaml("prometheus.yml")["scrape_configs"][0]["static_configs"][0];
    let target = scrape["targets"][0].as_str().unwrap();
    let (host, port) = target.split_once(':').unwrap();
    let example = &compose["services"][host];
    let command = example["command"].as_str().unwrap();
    assert!(
        command.contains(&format!("--listen 0.0.0.0:{port}")),
        "{command}"
    );
    yaml("grafana/datasources/prometheus.yml");
    yaml("grafana/dashboards/memory.yml");
}
