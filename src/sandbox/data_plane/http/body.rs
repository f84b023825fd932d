//! A body whose bytes are counted as they pass.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame, SizeHint};

use crate::sandbox::data_plane::{Body, BoxError};

/// How many bytes have passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is done when a body has passed, or nobody wants the rest of it.
type End = Box<dyn FnOnce(u64) + Send + Sync>;

/// A body that counts.
pub(super) struct Counted {
    body: Body,
    count: Count,
    end: Option<End>,
}

impl Counted {
    pub(super) fn new(body: Body, count: Count) -> Self {
        Self {
            body,
            count,
            end: None,
        }
    }

    /// With something that is done at the end.
    pub(super) fn with_end(mut self, end: End) -> Self {
        self.end = Some(end);
        self
    }
}

/// Does what is to be done at the end, once.
fn finish(end: &mut Option<End>, count: &Count) {
    if let Some(end) = end.take() {
        end(count.total());
    }
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.count.add(u64::try_from(length).unwrap_or(u64::MAX));
                if this.body.is_end_stream() {
                    finish(&mut this.end, &this.count);
                }
            }
            Poll::Ready(_) => finish(&mut this.end, &this.count),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        finish(&mut self.end, &self.count);
    }
}
