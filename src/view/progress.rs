//! Progress: one line per running step on a terminal, plain timestamped lines elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::View;
use crate::apply::{Doing, Event};
use crate::aws::{Clock, Speed};
use crate::resource::Address;

/// Between two signs of life of a slow step where nothing can be drawn over.
const HEARTBEAT: Duration = Duration::from_secs(10);

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
    running: BTreeMap<(Address, Doing), Running>,
    /// The wall's clock: it is people who wait.
    wall: Clock,
}

impl<'a> Progress<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        let bars = view.draws.then(MultiProgress::new);
        Self {
            view,
            bars,
            running: BTreeMap::new(),
            wall: Clock::new(Speed::Realistic),
        }
    }

    /// The next event; meanwhile slow steps give signs of life.
    pub(super) async fn next(&mut self, events: &mut UnboundedReceiver<Event>) -> Option<Event> {
        loop {
            let heartbeat = self.wall.clone();
            tokio::select! {
                event = events.recv() => return event,
                () = heartbeat.sleep(HEARTBEAT), if self.bars.is_none() && !self.view.is_json() => self.beat(),
            }
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Started { address, doing } => self.start(address, *doing),
            Event::Waiting { address, what } => self.wait(address, what),
            Event::Finished {
                address,
                doing,
                elapsed,
            } => self.finish(address, *doing, *elapsed),
            Event::Failed {
                address,
                doing,
                error,
                ..
            } => {
                self.end(address, *doing);
                self.tell(&format!("{address}: failed: {error}"));
            }
            Event::Skipped {
                address, because, ..
            } => {
                self.tell(&format!("{address}: not tried, because `{because}` failed"));
            }
        }
    }

    pub(super) fn clear(&mut self) {
        if let Some(bars) = &self.bars {
            bars.clear().ok();
        }
    }

    fn start(&mut self, address: &Address, doing: Doing) {
        let says = verb(doing);
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}")
                .expect("the template is right");
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(format!("{address}: {says}"));
            bar
        });
        let running = Running {
            bar,
            began: Instant::now(),
            says: says.to_owned(),
        };
        self.running.insert((address.clone(), doing), running);
    }

    fn wait(&mut self, address: &Address, what: &str) {
        let mut steps = self.running.iter_mut();
        if let Some((_, running)) = steps.find(|((of, _), _)| of == address) {
            running.says = format!("waiting for {what}");
            if let Some(bar) = &running.bar {
                bar.set_message(format!("{address}: {}", running.says));
                return;
            }
        }
        self.tell(&format!("{address}: waiting for {what}"));
    }

    /// A wait that had nothing to wait for is not worth a line.
    fn finish(&mut self, address: &Address, doing: Doing, elapsed: Duration) {
        self.end(address, doing);
        let waited = matches!(doing, Doing::Ready | Doing::Gone);
        if !waited || elapsed >= Duration::from_secs(1) {
            self.tell(&format!(
                "{address}: {} after {}",
                done(doing),
                seconds(elapsed)
            ));
        }
    }

    fn end(&mut self, address: &Address, doing: Doing) {
        let ended = self.running.remove(&(address.clone(), doing));
        if let Some(bar) = ended.and_then(|running| running.bar) {
            bar.finish_and_clear();
        }
    }

    fn beat(&self) {
        for ((address, _), running) in &self.running {
            self.tell(&format!(
                "{address}: still {} [{}]",
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
