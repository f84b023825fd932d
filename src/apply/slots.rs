//! How many steps may call AWS to change something at a time, across all plans of a run.
//!
//! A step that waits, for a documented rate or for a state, lends its slot to others and has it back
//! before they begin anything new: what waits for API Gateway's one call in half a minute keeps
//! nobody from working. What the most urgent things wait for comes first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

/// The slots of a run.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Mutex<Queues>>);

/// Who waits for a slot.
#[derive(Debug)]
struct Queues {
    free: usize,
    waiting: BTreeMap<Turn, oneshot::Sender<Permit>>,
    /// How often somebody had to wait.
    asked: u64,
}

/// Whose turn it is: of steps under way that have lent their slot, then of those that have not begun;
/// of these the most urgent one; of these the one that asked first.
type Turn = (Stage, Reverse<Duration>, u64);

/// How far a step is that waits for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    UnderWay,
    NotBegun,
}

/// A slot that is taken, until it is dropped.
#[derive(Debug)]
struct Permit(Slots);

/// The slot of a step under way.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    slots: Slots,
    urgency: Duration,
    permit: Arc<Mutex<Option<Permit>>>,
    /// Told when the step is given up before its next call.
    given_up: Arc<Notify>,
}

tokio::task_local! {
    /// The slot of the step that the current future belongs to.
    static SLOT: Slot;
}

impl Slots {
    /// So many.
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Queues {
            free: count,
            waiting: BTreeMap::new(),
            asked: 0,
        })))
    }

    /// A slot for a step that is to begin, when its turn comes: before less urgent ones.
    pub(super) async fn begin(&self, urgency: Duration) -> Slot {
        let permit = self.take(Stage::NotBegun, urgency).await;
        Slot {
            slots: self.clone(),
            urgency,
            permit: Arc::new(Mutex::new(permit)),
            given_up: Arc::default(),
        }
    }

    async fn take(&self, stage: Stage, urgency: Duration) -> Option<Permit> {
        let receiver = {
            let mut queues = self.queues();
            if queues.free > 0 {
                queues.free -= 1;
                return Some(Permit(self.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            queues.asked += 1;
            let turn = (stage, Reverse(urgency), queues.asked);
            queues.waiting.insert(turn, sender);
            receiver
        };
        receiver.await.ok()
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a slot on to whoever is next.
    fn hand_on(&self) {
        let next = {
            let mut queues = self.queues();
            let next = queues.waiting.pop_first().map(|(_, sender)| sender);
            if next.is_none() {
                queues.free += 1;
            }
            next
        };
        // Outside of the lock: where nobody listens any more, the permit comes back and is handed on.
        if let Some(next) = next {
            drop(next.send(Permit(self.clone())));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.hand_on();
    }
}

impl Slot {
    /// Does the work of the step that has this slot; `None` where it was given up.
    pub(super) async fn scope<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let given_up = Arc::clone(&self.given_up);
        tokio::select! {
            biased;
            done = SLOT.scope(self, work) => Some(done),
            () = given_up.notified() => None,
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Permit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn resume(&self) {
        if self.held().is_some() {
            return;
        }
        let permit = self.slots.take(Stage::UnderWay, self.urgency).await;
        // Two calls of one step may have come back at the same time.
        let spare = {
            let mut held = self.held();
            if held.is_some() {
                permit
            } else {
                *held = permit;
                None
            }
        };
        drop(spare);
    }
}

/// Waits, and lends the slot of the step under way meanwhile; outside of a step it only waits.
pub(crate) async fn lend_slot<T>(wait: impl Future<Output = T>) -> T {
    let Ok(slot) = SLOT.try_with(Slot::clone) else {
        return wait.await;
    };
    let lent = slot.held().take();
    drop(lent);
    let done = wait.await;
    slot.resume().await;
    done
}

/// Gives the step under way up: it is not gone on with, whatever it still waits for.
pub(super) async fn give_up() -> Infallible {
    SLOT.try_with(|slot| slot.given_up.notify_one()).ok();
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn no_more_than_that_many_work_at_a_time() {
        let slots = Slots::new(2);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let step = || async {
            slots
                .begin(Duration::ZERO)
                .await
                .scope(async {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                })
                .await;
        };
        futures::future::join_all((0..9).map(|_| step())).await;
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(slots.queues().free, 2);
    }

    #[tokio::test]
    async fn who_waits_lends_the_slot_and_has_it_back_before_anything_new_begins() {
        let slots = Slots::new(1);
        let order = Mutex::new(Vec::new());
        let tell = |what| order.lock().unwrap().push(what);
        let (ready, rate) = oneshot::channel::<()>();
        let waits = async {
            let slot = slots.begin(Duration::ZERO).await;
            slot.scope(async {
                tell("waits");
                lend_slot(async { drop(rate.await) }).await;
                tell("goes on");
            })
            .await;
        };
        let works = async {
            let slot = slots.begin(Duration::ZERO).await;
            slot.scope(async {
                tell("works meanwhile");
                ready.send(()).unwrap();
                for _ in 0..9 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        };
        let later = async {
            let slot = slots.begin(Duration::ZERO).await;
            slot.scope(async { tell("begins") }).await;
        };
        futures::join!(waits, works, later);
        let order = order.into_inner().unwrap();
        assert_eq!(order, ["waits", "works meanwhile", "goes on", "begins"]);
    }

    #[tokio::test]
    async fn what_is_most_urgent_begins_first_whoever_asked_before() {
        let slots = Slots::new(1);
        let order = Mutex::new(Vec::new());
        let first = slots.begin(Duration::ZERO).await;
        let step = async |what, urgency| {
            let slot = slots.begin(Duration::from_secs(urgency)).await;
            slot.scope(async { order.lock().unwrap().push(what) }).await;
        };
        let steps = async {
            futures::join!(
                step("tags", 0),
                step("one in 5 s", 5),
                step("one in 30 s", 30),
                step("one in 30 s, asked later", 30),
            )
        };
        futures::join!(steps, async { drop(first) });
        let order = order.into_inner().unwrap();
        let expected = [
            "one in 30 s",
            "one in 30 s, asked later",
            "one in 5 s",
            "tags",
        ];
        assert_eq!(order, expected);
    }

    #[tokio::test]
    async fn a_slot_for_whom_nobody_waits_any_more_is_not_lost() {
        let slots = Slots::new(1);
        let first = slots.begin(Duration::ZERO).await;
        {
            let mut given_up = Box::pin(slots.begin(Duration::ZERO));
            assert!(futures::poll!(&mut given_up).is_pending());
        }
        drop(first);
        assert_eq!(slots.queues().free, 1);
    }
}
