//! Progress: one line per running step on a terminal, plain timestamped lines elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Naming, View};
use crate::apply::{Doing, Event, Told};
use crate::aws::{Clock, Speed};
use crate::resource::Address;

/// Between two signs of life of a slow step where nothing can be drawn over.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// An address of one of the stacks of the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The stack, where there are several.
    stack: Option<Arc<str>>,
    address: Address,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stack) = &self.stack {
            write!(formatter, "{stack}: ")?;
        }
        self.address.fmt(formatter)
    }
}

/// A step that runs.
struct Running {
    bar: Option<ProgressBar>,
    began: Instant,
    says: String,
}

/// Progress of one apply.
pub(super) struct Progress<'a> {
    view: &'a View,
    bars: Option<MultiProgress>,
    naming: Naming,
    running: BTreeMap<(Place, Doing), Running>,
    /// The wall's clock: it is people who wait.
    wall: Clock,
}

impl<'a> Progress<'a> {
    pub(super) fn new(view: &'a View, naming: Naming) -> Self {
        let bars = view.draws.then(MultiProgress::new);
        Self {
            view,
            bars,
            naming,
            running: BTreeMap::new(),
            wall: Clock::new(Speed::Realistic),
        }
    }

    /// The next event; meanwhile slow steps give signs of life.
    pub(super) async fn next(&mut self, events: &mut UnboundedReceiver<Told>) -> Option<Told> {
        loop {
            let heartbeat = self.wall.clone();
            tokio::select! {
                event = events.recv() => return event,
                () = heartbeat.sleep(HEARTBEAT), if self.bars.is_none() && !self.view.is_json() => self.beat(),
            }
        }
    }

    pub(super) fn show(&mut self, told: &Told) {
        let stack = (self.naming == Naming::Stacks).then(|| Arc::clone(&told.stack));
        let place = |address: &Address| Place {
            stack: stack.clone(),
            address: address.clone(),
        };
        match &told.event {
            Event::Started { address, doing } => self.start(place(address), *doing),
            Event::Waiting { address, what } => self.wait(&place(address), what),
            Event::Finished {
                address,
                doing,
                elapsed,
            } => self.finish(place(address), *doing, *elapsed),
            Event::Failed {
                address,
                doing,
                error,
                ..
            } => {
                let place = place(address);
                self.tell(&format!("{place}: failed: {error}"));
                self.end(place, *doing);
            }
            Event::Skipped {
                address, because, ..
            } => {
                let place = place(address);
                self.tell(&format!("{place}: not tried, because `{because}` failed"));
            }
        }
    }

    pub(super) fn clear(&mut self) {
        if let Some(bars) = &self.bars {
            bars.clear().ok();
        }
    }

    fn start(&mut self, place: Place, doing: Doing) {
        let says = verb(doing);
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}")
                .expect("the template is right");
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(format!("{place}: {says}"));
            bar
        });
        let running = Running {
            bar,
            began: Instant::now(),
            says: says.to_owned(),
        };
        self.running.insert((place, doing), running);
    }

    fn wait(&mut self, place: &Place, what: &str) {
        let mut steps = self.running.iter_mut();
        if let Some((_, running)) = steps.find(|((of, _), _)| of == place) {
            running.says = format!("waiting for {what}");
            if let Some(bar) = &running.bar {
                bar.set_message(format!("{place}: {}", running.says));
                return;
            }
        }
        self.tell(&format!("{place}: waiting for {what}"));
    }

    /// A wait that had nothing to wait for is not worth a line.
    fn finish(&mut self, place: Place, doing: Doing, elapsed: Duration) {
        let waited = matches!(doing, Doing::Ready | Doing::Gone);
        if !waited || elapsed >= Duration::from_secs(1) {
            self.tell(&format!(
                "{place}: {} after {}",
                done(doing),
                seconds(elapsed)
            ));
        }
        self.end(place, doing);
    }

    fn end(&mut self, place: Place, doing: Doing) {
        let ended = self.running.remove(&(place, doing));
        if let Some(bar) = ended.and_then(|running| running.bar) {
            bar.finish_and_clear();
        }
    }

    fn beat(&self) {
        for ((place, _), running) in &self.running {
            self.tell(&format!(
                "{place}: still {} [{}]",
                running.says,
                seconds(running.began.elapsed())
            ));
        }
    }

    fn tell(&self, text: &str) {
        if let Some(bars) = &self.bars {
            bars.suspend(|| self.view.note(&format!("  {text}")));
        } else {
            let now = OffsetDateTime::now_utc().time();
            self.view.note(&format!(
                "{:02}:{:02}:{:02} {text}",
                now.hour(),
                now.minute(),
                now.second()
            ));
        }
    }
}

fn verb(doing: Doing) -> &'static str {
    match doing {
        Doing::Create => "creating",
        Doing::Ready => "waiting until it is ready",
        Doing::Update => "changing",
        Doing::Adopt => "adopting",
        Doing::Retire => "taking away what is no longer used",
        Doing::Delete => "deleting",
        Doing::Gone => "waiting until it is gone",
    }
}

fn done(doing: Doing) -> &'static str {
    match doing {
        Doing::Create => "created",
        Doing::Ready => "ready",
        Doing::Update => "changed",
        Doing::Adopt => "adopted",
        Doing::Retire => "changed in full",
        Doing::Delete => "deleted",
        Doing::Gone => "gone",
    }
}

/// `4s`, `2m10s`.
fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}
