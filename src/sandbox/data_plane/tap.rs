//! A stream that counts what passes, and reads along what the server's first message says.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many of the first bytes that are sent are kept: a `ServerHello` has a few hundred, with the
/// key share of a post-quantum group 1,500.
const KEPT: usize = 4_096;

/// What passed through a stream.
#[derive(Debug)]
pub(super) struct Passed {
    begun: Instant,
    /// Milliseconds from the beginning to the last byte in either direction.
    last: AtomicU64,
    head: Mutex<Vec<u8>>,
}

impl Passed {
    fn note(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    /// For how long nothing has passed.
    pub(super) fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
    }

    /// How long the stream has been open.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What the server's hello says, if one was sent.
    pub(super) fn hello(&self) -> Option<Hello> {
        Hello::last_of(&self.head.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, sent: &[u8]) {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(head.len()).min(sent.len());
        head.extend_from_slice(&sent[..room]);
    }
}

/// A stream that is read along.
#[derive(Debug)]
pub(super) struct Tap<S> {
    stream: S,
    passed: Arc<Passed>,
}

impl<S> Tap<S> {
    /// Reads a stream along.
    pub(super) fn new(stream: S) -> (Self, Arc<Passed>) {
        let passed = Arc::new(Passed {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            head: Mutex::default(),
        });
        let tap = Self {
            stream,
            passed: Arc::clone(&passed),
        };
        (tap, passed)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.passed.note();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, buffer);
        if let Poll::Ready(Ok(written)) = &polled {
            self.passed.note();
            self.passed.keep(&buffer[..*written]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What a `ServerHello` agrees to, in TLS's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    /// `0x0304` is TLS 1.3.
    pub(super) version: u16,
    /// The cipher suite.
    pub(super) cipher: u16,
    /// The group of the key exchange, which TLS 1.2 tells later.
    pub(super) group: Option<u16>,
}

impl Hello {
    /// Reads the last hello among the records that a server sends first: after one that asks for
    /// another key share there is a second.
    fn last_of(mut records: &[u8]) -> Option<Self> {
        const HANDSHAKE: u8 = 22;
        let mut last = None;
        while let [kind, _, _, high, low, rest @ ..] = records {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let content = rest.get(..length)?;
            if *kind == HANDSHAKE {
                last = Self::of(content).or(last);
            }
            records = &rest[length..];
        }
        last
    }

    fn of(message: &[u8]) -> Option<Self> {
        const SERVER_HELLO: u8 = 2;
        const SUPPORTED_VERSIONS: u16 = 43;
        const KEY_SHARE: u16 = 51;
        let (head, rest) = message.split_at_checked(4)?;
        if head[0] != SERVER_HELLO {
            return None;
        }
        let (version, rest) = number(rest)?;
        let rest = rest.get(32..)?;
        let (length, rest) = rest.split_first()?;
        let (cipher, rest) = number(rest.get(usize::from(*length)..)?)?;
        let mut hello = Self {
            version,
            cipher,
            group: None,
        };
        let Some((_, mut extensions)) = rest.get(1..).and_then(number) else {
            return Some(hello);
        };
        while let Some((kind, rest)) = number(extensions) {
            let (length, rest) = number(rest)?;
            let (value, rest) = rest.split_at_checked(usize::from(length))?;
            match kind {
                SUPPORTED_VERSIONS => hello.version = number(value)?.0,
                KEY_SHARE => hello.group = Some(number(value)?.0),
                _ => {}
            }
            extensions = rest;
        }
        Some(hello)
    }
}

/// The first two octets as a number, and what follows.
fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::Hello;

    fn record(extensions: &[u8]) -> Vec<u8> {
        let mut hello = vec![3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0x13, 0x02, 0]);
        hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        hello.extend(extensions);
        let length = u8::try_from(hello.len()).unwrap();
        let mut record = vec![22, 3, 3, 0, length + 4, 2, 0, 0, length];
        record.extend(hello);
        record
    }

    #[test]
    fn the_last_hello_says_what_was_agreed_on() {
        let retry = record(&[0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 23]);
        let hello = record(&[0, 43, 0, 2, 3, 4, 0, 51, 0, 4, 0, 29, 0, 0]);
        let change = [20, 3, 3, 0, 1, 1];
        let sent = [&retry[..], &change, &hello].concat();
        let expected = Hello {
            version: 0x0304,
            cipher: 0x1302,
            group: Some(29),
        };
        assert_eq!(Hello::last_of(&sent), Some(expected));
    }

    #[test]
    fn without_extensions_it_is_the_version_of_old() {
        let hello = Hello::last_of(&record(&[])).expect("a hello");
        assert_eq!((hello.version, hello.group), (0x0303, None));
    }

    #[test]
    fn what_is_no_hello_says_nothing() {
        let hello = record(&[0, 43, 0, 2, 3, 4]);
        for length in 0..hello.len() {
            assert_eq!(Hello::last_of(&hello[..length]), None, "{length}");
        }
        assert_eq!(Hello::last_of(&[21, 3, 3, 0, 2, 2, 40]), None);
    }
}
