//! A local HTTP server (hyper) that answers each request with the next reply of
//! a script, or with one that is computed from the request.

use std::collections::VecDeque;
use std::future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time;

/// A text in unusable responses. It appears in no error and no log.
pub(crate) const SECRET: &str = "Tam the horse trader";

/// One reply of the script.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    delivery: Delivery,
    /// What is waited for before anything is sent.
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// How a reply is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// Completely.
    Whole,
    /// Byte by byte, without a content length.
    Bytes,
    /// Its body repeatedly, without end.
    Endless,
    /// The first half of the body; then the connection is closed.
    Half,
    /// The first half of the body; then nothing.
    HalfThenSilence,
    /// Never.
    Silence,
    /// Not at all: the connection is closed.
    HangUp,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            delivery: Delivery::Whole,
            wait: None,
        }
    }

    /// A chat completion with this text.
    pub(crate) fn text(text: &str) -> Self {
        let text = serde_json::Value::from(text);
        Self::choice(&format!(
            r#"{{"index": 0, "message": {{"role": "assistant", "content": {text}}},
                "finish_reason": "stop"}}"#
        ))
    }

    /// A chat completion with this choice.
    pub(crate) fn choice(choice: &str) -> Self {
        let body = format!(r#"{{"object": "chat.completion", "choices": [{choice}]}}"#);
        Self::new(200, body).header("content-type", "application/json")
    }

    /// An error in OpenAI's format.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"error": {{"message": "{SECRET}", "code": "{code}"}}}}"#);
        Self::new(status, body).header("content-type", "application/json")
    }

    pub(crate) fn silence() -> Self {
        Self::new(200, "").delivery(Delivery::Silence)
    }

    pub(crate) fn hang_up() -> Self {
        Self::new(200, "").delivery(Delivery::HangUp)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn byte_by_byte(self) -> Self {
        self.delivery(Delivery::Bytes)
    }

    pub(crate) fn endless(self) -> Self {
        self.delivery(Delivery::Endless)
    }

    pub(crate) fn half(self) -> Self {
        self.delivery(Delivery::Half)
    }

    pub(crate) fn half_then_silence(self) -> Self {
        self.delivery(Delivery::HalfThenSilence)
    }

    /// Sends nothing before this is done.
    pub(crate) fn after(mut self, wait: impl Future<Output = ()> + Send + 'static) -> Self {
        self.wait = Some(Box::pin(wait));
        self
    }

    fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// The response, or the end of the connection.
    async fn into_response(mut self) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
        if let Some(wait) = self.wait.take() {
            wait.await;
        }
        let half = self.body.slice(..self.body.len() / 2);
        let length = self.body.len();
        let frame = |bytes| Ok(Frame::data(bytes));
        let body = match self.delivery {
            Delivery::Whole => Full::new(self.body).map_err(|never| match never {}).boxed(),
            Delivery::Bytes => {
                let bytes = Vec::from(self.body).into_iter();
                let bytes = bytes.map(move |byte| frame(Bytes::from(vec![byte])));
                BodyExt::boxed(StreamBody::new(stream::iter(bytes)))
            }
            Delivery::Endless => {
                let body = self.body;
                BodyExt::boxed(StreamBody::new(
                    stream::repeat_with(move || body.clone()).map(frame),
                ))
            }
            Delivery::Half => {
                let closed = stream::iter([Err(io::Error::other("connection closed"))]);
                BodyExt::boxed(StreamBody::new(
                    // The pause lets the first half be sent before the end.
                    stream::iter([frame(half)]).chain(pause()).chain(closed),
                ))
            }
            Delivery::HalfThenSilence => BodyExt::boxed(StreamBody::new(
                stream::iter([frame(half)]).chain(stream::pending()),
            )),
            Delivery::Silence => future::pending().await,
            Delivery::HangUp => return Err(io::Error::other("connection closed")),
        };
        let mut response = Response::builder().status(self.status);
        if matches!(self.delivery, Delivery::Half | Delivery::HalfThenSilence) {
            response = response.header("content-length", length);
        }
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        Ok(response.body(body).unwrap())
    }
}

/// An empty frame after a delay.
fn pause() -> impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync {
    let empty = async {
        time::sleep(Duration::from_millis(50)).await;
        Ok(Frame::data(Bytes::new()))
    };
    stream::once(empty)
}

/// A received request.
#[derive(Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: serde_json::Value,
}

/// The server. Its connections end with the test's runtime.
pub(crate) struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    arrivals: mpsc::UnboundedReceiver<()>,
    ends: mpsc::UnboundedReceiver<()>,
}

impl Server {
    /// Starts a server that sends these replies in order, and then status 418.
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script: Mutex<VecDeque<Reply>> = Mutex::new(script.into_iter().collect());
        Self::start_with(move |_| {
            let reply = script.lock().unwrap().pop_front();
            reply.unwrap_or_else(|| Reply::new(418, "the script has ended"))
        })
        .await
    }

    /// Starts a server that computes its replies.
    pub(crate) async fn start_with(
        respond: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let received = Arc::default();
        let handler = Arc::new(Handler {
            respond: Box::new(respond),
            received: Arc::clone(&received),
            arrived,
            ended,
        });
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&handler).serve(connection));
            }
        });
        Self {
            address,
            received,
            arrivals,
            ends,
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests received so far.
    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap().clone()
    }

    /// Waits for the next request.
    pub(crate) async fn arrival(&mut self) {
        in_time(self.arrivals.recv()).await.unwrap();
    }

    /// Waits for the next end of a connection.
    pub(crate) async fn end(&mut self) {
        in_time(self.ends.recv()).await.unwrap();
    }
}

/// Fails the test if `work` does not finish within 30 s.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    time::timeout(limit, work)
        .await
        .expect("not finished within 30 s")
}

/// The state shared by the connections.
struct Handler {
    respond: Box<dyn Fn(&ReceivedRequest) -> Reply + Send + Sync>,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    arrived: mpsc::UnboundedSender<()>,
    ended: mpsc::UnboundedSender<()>,
}

impl Handler {
    async fn serve(self: Arc<Self>, connection: TcpStream) {
        let handle = service_fn(|request| self.handle(request));
        // An error is one of the script, or the client has disconnected.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(connection), handle)
            .await;
        let _ = self.ended.send(());
    }

    async fn handle(
        &self,
        request: Request<Incoming>,
    ) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let request = ReceivedRequest {
            line: format!("{} {}", head.method, head.uri),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap(),
        };
        let reply = (self.respond)(&request);
        self.received.lock().unwrap().push(request);
        let _ = self.arrived.send(());
        reply.into_response().await
    }
}
