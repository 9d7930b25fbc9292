//! A server on a free port, and a client for it.

use std::net::SocketAddr;
use std::sync::Arc;

use memory::embed::Embedder;
use memory::{MemoryConfig, MemorySystem};
use memory_server::{Server, ServerOptions};
use memory_testkit::{HashEmbedder, HookedStore, InMemoryStore, StoreHooks};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct TestServer {
    pub(crate) folder: TempDir,
    pub(crate) memory: MemorySystem,
    address: SocketAddr,
    client: Client,
    pub(crate) token: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) serving: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn start(options: impl FnOnce(&TempDir) -> ServerOptions) -> Self {
        Self::start_with(Arc::new(HashEmbedder::new()), options).await
    }

    /// As [`start`](Self::start), with an embedder.
    pub(crate) async fn start_with(
        embedder: Arc<dyn Embedder>,
        options: impl FnOnce(&TempDir) -> ServerOptions,
    ) -> Self {
        Self::start_configured(embedder, MemoryConfig::default(), options).await
    }

    /// As [`start_with`](Self::start_with), with a configuration of the system.
    pub(crate) async fn start_configured(
        embedder: Arc<dyn Embedder>,
        config: MemoryConfig,
        options: impl FnOnce(&TempDir) -> ServerOptions,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = options(&folder);
        let memory = MemorySystem::builder()
            .url(format!("sqlite://{}", folder.path().join("m.db").display()))
            .embedder(embedder)
            .config(config)
            .build()
            .await
            .expect("a new database");
        Self::serve(folder, memory, options).await
    }

    /// Starts a server whose store has these hooks.
    pub(crate) async fn start_hooked(hooks: Arc<dyn StoreHooks>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = HookedStore::new(Arc::new(InMemoryStore::new()), hooks);
        let memory = MemorySystem::builder()
            .store(store)
            .embedder(HashEmbedder::new());
        let memory = memory.build().await.expect("it needs nothing");
        Self::serve(folder, memory, ServerOptions::new()).await
    }

    async fn serve(folder: TempDir, memory: MemorySystem, options: ServerOptions) -> Self {
        // The client wants one, also for plain HTTP; a second test finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(loopback, memory.clone(), options).await;
        let server = server.expect("a free port");
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            server.run(shutdown).await.expect("it ends in order");
        });
        Self {
            folder,
            memory,
            address,
            client: Client::new(),
            token: None,
            stop: Some(stop),
            serving,
        }
    }

    pub(crate) fn set_token<'a>(&mut self, token: impl Into<Option<&'a str>>) {
        self.token = token.into().map(str::to_owned);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins the shutdown.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().expect("a method");
        let request = self
            .client
            .request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = self.request(method, path).body(body.to_owned());
        Answer::of(request.send().await.expect("it answers")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, body).await
    }

    /// A message to the endpoint of MCP.
    pub(crate) fn mcp(&self, method: &str, params: Value) -> RequestBuilder {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.request("POST", "/mcp")
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(message.to_string())
    }

    /// Calls a tool for an entity over MCP; returns its text, and whether it is an error.
    pub(crate) async fn call_tool(
        &self,
        tool: &str,
        entity: &str,
        arguments: &Value,
    ) -> (String, bool) {
        let mut arguments = arguments.clone();
        arguments["entity"] = entity.into();
        let params = json!({"name": tool, "arguments": arguments});
        let sent = self.mcp("tools/call", params).send().await;
        let answer = Answer::of(sent.expect("it answers")).await;
        let result = &answer.ok(200)["result"];
        let text = result["content"][0]["text"].as_str().expect("text");
        (text.to_owned(), result["isError"] == true)
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let header =
            |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
                let value = value.to_str().expect("ASCII");
                (name.as_str().to_owned(), value.to_owned())
            };
        let (status, headers) = (
            response.status().as_u16(),
            response.headers().iter().map(header).collect(),
        );
        let text = response.text().await.expect("a whole body");
        let body = match text.is_empty() {
            true => Value::Null,
            // Lines and pages are compared as text.
            false => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        };
        Self {
            status,
            headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The headers apart from the time, for comparisons.
    pub(crate) fn headers_but_date(&self) -> Vec<(String, String)> {
        let headers = self.headers.iter().filter(|(name, _)| name != "date");
        headers.cloned().collect()
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{self:?}");
        &self.body
    }

    /// The detail of a problem.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> &str {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.body["kind"], kind, "{self:?}");
        assert_eq!(self.body["type"], format!("urn:memory:{kind}"));
        assert_eq!(self.body["status"], status);
        self.body["detail"].as_str().expect("a detail")
    }
}
