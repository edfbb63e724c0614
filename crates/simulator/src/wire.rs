//! Loopback connections that can break in the middle of an answer.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const WHOLE: u8 = 0;
const CUT_IN_BODY: u8 = 1;
const CUT: u8 = 2;
/// Bytes of the body that a truncated answer still contains.
const BODY_BYTES_LEFT: usize = 8;

/// Lets a handler cut the connection that it answers on.
#[derive(Debug, Clone, Default)]
pub(super) struct Scissors(Arc<AtomicU8>);

impl Scissors {
    /// The answer breaks off soon after its headers.
    pub(super) fn cut_in_body(&self) {
        self.0.store(CUT_IN_BODY, Ordering::Release);
    }

    /// The connection closes without an answer.
    pub(super) fn cut(&self) {
        self.0.store(CUT, Ordering::Release);
    }
}

/// A TCP listener whose connections carry [`Scissors`].
pub(super) struct FragileListener(pub(super) TcpListener);

impl Listener for FragileListener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Wire { stream, scissors: Scissors::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, FragileListener>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, FragileListener>) -> Self {
        stream.io().scissors.clone()
    }
}

/// One connection.
pub(super) struct Wire {
    stream: TcpStream,
    scissors: Scissors,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = match self.scissors.0.load(Ordering::Acquire) {
            WHOLE => bytes,
            CUT_IN_BODY => {
                // The headers end with an empty line and are written in one piece.
                let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
                self.scissors.cut();
                &bytes[..bytes.len().min(head + BODY_BYTES_LEFT)]
            }
            _ => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        };
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
