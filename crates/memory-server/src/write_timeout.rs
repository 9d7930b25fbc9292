//! Ends connections whose client stops reading.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep};

/// The unsent bytes in a socket below which it takes more: it wakes its writer at half.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 128 << 10;

/// Makes the sockets that a listener accepts wake their writers whenever a client takes some
/// bytes. Linux otherwise waits until a third of the send buffer is free, which is more than
/// a megabyte: a slow client would seem to take nothing for a minute.
///
/// # Errors
/// The operating system refuses the option.
pub(crate) fn wake_early(listener: &TcpListener) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(listener).set_tcp_notsent_lowat(MAX_UNSENT)?;
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
    Ok(())
}

/// A stream on which a write fails that makes no progress for a time.
pub(crate) struct WriteTimeout<S> {
    stream: S,
    limit: Duration,
    /// When the write in progress fails; it runs only while there is one.
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<S: Unpin> WriteTimeout<S> {
    pub(crate) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            deadline: Box::pin(sleep(limit)),
            is_waiting: false,
        }
    }

    /// Polls a write; fails if it has been pending for too long.
    fn poll_within_limit<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(outcome) = write(Pin::new(&mut self.stream), context) {
            self.is_waiting = false;
            return Poll::Ready(outcome);
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.deadline.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_within_limit(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_within_limit(context, |stream, context| {
            stream.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_within_limit(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_within_limit(context, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_write_without_progress_fails_and_one_with_progress_does_not() {
        let (server, mut client) = tokio::io::duplex(10);
        let limit = Duration::from_millis(500);
        let mut server = WriteTimeout::new(server, limit);
        let reading = tokio::spawn(async move {
            let mut read = [0; 5];
            // It takes longer than the limit in all.
            for _ in 0..6 {
                tokio::time::sleep(limit / 4).await;
                client.read_exact(&mut read).await.unwrap();
            }
            client
        });
        server.write_all(&[1; 30]).await.expect("it is read slowly");
        let _client = reading.await.unwrap();
        let started = Instant::now();
        server.write_all(&[1; 10]).await.expect("there is room");
        let error = server.write_all(&[1]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= limit);
    }
}
