//! An HTTP server on a free port of this machine. It is the one of `hyper`,
//! and answers each request with the next line of a script.

use std::collections::VecDeque;
use std::future;
use std::io;
use std::net::SocketAddr;
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

/// What stands in answers that are no good. It stands in no error and no log.
pub(crate) const SECRET: &str = "Tam the horse trader";

/// One answer of the script.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    manner: Manner,
}

/// How a reply goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Whole.
    Whole,
    /// Byte by byte, without saying how many there are.
    Bytes,
    /// Its body, again and again.
    Endless,
    /// The body's first half; then the connection breaks.
    Half,
    /// The body's first half; then nothing.
    HalfThenSilence,
    /// Nothing ever.
    Silence,
    /// The connection breaks before any answer.
    HangUp,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            manner: Manner::Whole,
        }
    }

    /// A completion with this text.
    pub(crate) fn text(text: &str) -> Self {
        let text = serde_json::Value::from(text);
        Self::choice(&format!(
            r#"{{"index": 0, "message": {{"role": "assistant", "content": {text}}},
                "finish_reason": "stop"}}"#
        ))
    }

    /// A completion with this choice.
    pub(crate) fn choice(choice: &str) -> Self {
        let body = format!(r#"{{"object": "chat.completion", "choices": [{choice}]}}"#);
        Self::new(200, body).header("content-type", "application/json")
    }

    /// An error as OpenAI words it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"error": {{"message": "{SECRET}", "code": "{code}"}}}}"#);
        Self::new(status, body).header("content-type", "application/json")
    }

    pub(crate) fn silence() -> Self {
        Self::new(200, "").manner(Manner::Silence)
    }

    pub(crate) fn hang_up() -> Self {
        Self::new(200, "").manner(Manner::HangUp)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn byte_by_byte(self) -> Self {
        self.manner(Manner::Bytes)
    }

    pub(crate) fn endless(self) -> Self {
        self.manner(Manner::Endless)
    }

    pub(crate) fn half(self) -> Self {
        self.manner(Manner::Half)
    }

    pub(crate) fn half_then_silence(self) -> Self {
        self.manner(Manner::HalfThenSilence)
    }

    fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// The response, or the end of the connection.
    async fn go_out(self) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
        let half = self.body.slice(..self.body.len() / 2);
        let length = self.body.len();
        let frame = |bytes| Ok(Frame::data(bytes));
        let body = match self.manner {
            Manner::Whole => Full::new(self.body).map_err(|never| match never {}).boxed(),
            Manner::Bytes => {
                let bytes = Vec::from(self.body).into_iter();
                let bytes = bytes.map(move |byte| frame(Bytes::from(vec![byte])));
                BodyExt::boxed(StreamBody::new(stream::iter(bytes)))
            }
            Manner::Endless => {
                let body = self.body;
                BodyExt::boxed(StreamBody::new(
                    stream::repeat_with(move || body.clone()).map(frame),
                ))
            }
            Manner::Half => {
                let broken = stream::iter([Err(io::Error::other("broken"))]);
                BodyExt::boxed(StreamBody::new(
                    // The pause lets the half go out before the end does.
                    stream::iter([frame(half)]).chain(pause()).chain(broken),
                ))
            }
            Manner::HalfThenSilence => BodyExt::boxed(StreamBody::new(
                stream::iter([frame(half)]).chain(stream::pending()),
            )),
            Manner::Silence => future::pending().await,
            Manner::HangUp => return Err(io::Error::other("hung up")),
        };
        let mut response = Response::builder().status(self.status);
        if matches!(self.manner, Manner::Half | Manner::HalfThenSilence) {
            response = response.header("content-length", length);
        }
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        Ok(response.body(body).unwrap())
    }
}

/// No frame, after a while.
fn pause() -> impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync {
    let nothing = async {
        time::sleep(Duration::from_millis(50)).await;
        Ok(Frame::data(Bytes::new()))
    };
    stream::once(nothing)
}

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: serde_json::Value,
}

/// The server; its connections end with the test's runtime.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    arrivals: mpsc::UnboundedReceiver<()>,
    ends: mpsc::UnboundedReceiver<()>,
}

impl Server {
    /// A server that gives these replies, in order, and then status 418.
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let seen = Arc::default();
        let desk = Arc::new(Desk {
            script: Mutex::new(script.into_iter().collect()),
            seen: Arc::clone(&seen),
            arrived,
            ended,
        });
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&desk).serve(connection));
            }
        });
        Self {
            address,
            seen,
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

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
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

/// Fails the test where it would hang for ever.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    time::timeout(limit, work).await.expect("this never ends")
}

/// Where requests are handled.
struct Desk {
    script: Mutex<VecDeque<Reply>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    arrived: mpsc::UnboundedSender<()>,
    ended: mpsc::UnboundedSender<()>,
}

impl Desk {
    async fn serve(self: Arc<Self>, connection: TcpStream) {
        let handle = service_fn(|request| self.handle(request));
        // An error is one that the script asks for, or the client's going away.
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
        self.seen.lock().unwrap().push(Seen {
            line: format!("{} {}", head.method, head.uri),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap(),
        });
        let _ = self.arrived.send(());
        let reply = self.script.lock().unwrap().pop_front();
        let reply = reply.unwrap_or_else(|| Reply::new(418, "the script is over"));
        reply.go_out().await
    }
}
