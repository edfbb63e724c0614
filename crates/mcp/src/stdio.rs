//! One client over standard input and output. Nothing but the protocol goes to standard output.
//!
//! Two threads read and write, because reading standard input cannot be cancelled: they belong to no runtime, and the process ends
//! without them.

use super::Server;
use domain::error::{Error, Result, panicked};
use rmcp::serve_server;
use rmcp::service::ServerInitializeError;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};

/// How long to wait for a full pipe.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the last answers may take to be written.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Chunks of input that are read ahead.
const READ_AHEAD: usize = 16;

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The client closed the connection.
    ClientLeft,
    /// The process was asked to end.
    Asked,
}

/// Serves the client at standard input and output, until it closes the input or `end` completes.
///
/// # Errors
/// [`Error::InvalidArgument`] if the client does not begin with the protocol's handshake; [`Error::Internal`].
pub async fn stdio(server: Server, end: impl Future<Output = ()>) -> Result<Ended> {
    let (output, written) = writing(io::stdout());
    let ended = stdio_on(server, reading(io::stdin()), output, end).await;
    // The output is closed when serving has ended. A client that does not read is not waited for.
    let _ = tokio::time::timeout(LAST_WRITES, written).await;
    ended
}

/// [`stdio`] on other streams.
///
/// # Errors
/// As [`stdio`].
pub async fn stdio_on(
    server: Server,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    end: impl Future<Output = ()>,
) -> Result<Ended> {
    let served = async {
        match serve_server(server.clone(), (input, output)).await {
            Ok(running) => running.waiting().await.map(|_| ()).map_err(|ended| match ended.try_into_panic() {
                Ok(panic) => panicked(&*panic),
                Err(_) => Error::Internal("the server was dropped".to_owned()),
            }),
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
            Err(problem) => Err(Error::argument(
                "stdin",
                "must begin with the handshake of the Model Context Protocol; an agent starts this command",
                problem,
            )),
        }
    };
    let ended = tokio::select! {
        served = served => served.map(|()| Ended::ClientLeft),
        () = end => Ok(Ended::Asked),
    };
    server.end();
    ended
}

/// Bytes that a thread reads.
struct Input {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

/// Reads in a thread of its own.
fn reading(mut from: impl Read + Send + 'static) -> Input {
    let (send, chunks) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => Ok(buffer[..length].to_vec()),
                // A pipe that another program made non-blocking.
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock) => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
            let failed = read.is_err();
            if send.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    Input { chunks, chunk: Vec::new(), at: 0 }
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.chunk.len() {
            match ready!(self.chunks.poll_recv(context)) {
                // The end of the input.
                None => return Poll::Ready(Ok(())),
                Some(chunk) => (self.chunk, self.at) = (chunk?, 0),
            }
        }
        let rest = &self.chunk[self.at..];
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..taken]);
        self.at += taken;
        Poll::Ready(Ok(()))
    }
}

/// Bytes that a thread writes.
struct Output(std::sync::mpsc::Sender<Vec<u8>>);

/// Writes in a thread of its own. The receiver completes once everything is written and the output was dropped.
fn writing(mut to: impl Write + Send + 'static) -> (Output, oneshot::Receiver<()>) {
    let (send, chunks) = std::sync::mpsc::channel::<Vec<u8>>();
    let (done, written) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        // Dropped at the end, whether writing failed or not: a client that has gone reads nothing more.
        let _done = done;
        for chunk in chunks {
            if write(&mut to, &chunk).is_err() {
                return;
            }
        }
    });
    (Output(send), written)
}

/// Writes all of it: a pipe that another program made non-blocking may be full for a while.
fn write(to: &mut dyn Write, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(e) => wait(e)?,
        }
    }
    while let Err(e) = to.flush() {
        wait(e)?;
    }
    Ok(())
}

fn wait(problem: io::Error) -> io::Result<()> {
    match problem.kind() {
        ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
        ErrorKind::Interrupted => {}
        _ => return Err(problem),
    }
    Ok(())
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = self.0.send(bytes.to_vec());
        Poll::Ready(sent.map(|()| bytes.len()).map_err(|_| ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Gives and takes a byte at a time, and is not ready every other time.
    struct Slow(Vec<u8>, bool);

    impl Slow {
        fn ready(&mut self) -> io::Result<()> {
            self.1 = !self.1;
            if self.1 { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        }
    }

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.ready()?;
            if self.0.is_empty() {
                return Ok(0);
            }
            buffer[0] = self.0.remove(0);
            Ok(1)
        }
    }

    #[tokio::test]
    async fn all_of_a_slow_input_arrives() {
        let mut text = String::new();
        reading(Slow(b"seven!!".to_vec(), false)).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "seven!!");
    }

    #[tokio::test]
    async fn all_of_the_output_is_written_before_the_end() {
        struct Shared(std::sync::Arc<parking_lot::Mutex<Slow>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let mut to = self.0.lock();
                to.ready()?;
                to.0.push(bytes[0]);
                Ok(1)
            }
            fn flush(&mut self) -> io::Result<()> {
                self.0.lock().ready()
            }
        }
        let to = std::sync::Arc::new(parking_lot::Mutex::new(Slow(Vec::new(), false)));
        let (mut output, written) = writing(Shared(to.clone()));
        output.write_all(b"seven!!").await.unwrap();
        drop(output);
        // It is dropped, not sent.
        assert!(written.await.is_err());
        assert_eq!(to.lock().0, b"seven!!");
    }
}
