//! The event loop of the display: handles keys, signals and snapshots, and draws.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use dbscript::{BoxError, Error, Worker, WorkerHandle};
use log::LevelFilter;
use ratatui::crossterm::event;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::keys::{self, Action};
use super::model::Model;
use super::process_group;
use super::reader::{self, ReadStatus};
use super::screen::Screen;
use super::snapshot::Snapshot;
use super::style::Theme;
use super::view;

/// The interval of redrawing during a slow refresh.
const WHILE_WAITING: Duration = Duration::from_secs(1);
const WHILE_PAUSED: Duration = Duration::from_secs(60 * 60);

/// An event of the display.
pub(crate) enum Event {
    Input(io::Result<event::Event>),
    Signal(i32),
    Status(Result<Snapshot, String>),
}

/// Shows the display until the user leaves.
pub(crate) fn run(worker: Worker, read: ReadStatus, interval: Duration) -> Result<(), BoxError> {
    let (sender, events) = mpsc::channel();
    let _muted = MutedLog::begin();
    watch_signals(sender.clone())?;
    let refresher = RefreshWorker(Some(reader::start(worker, read, sender.clone())?));
    let mut display = Display::new(Screen::enter().map_err(failed)?, interval, &refresher);
    watch_input(sender)?;
    display.run_until_left(&events)
}

/// The worker that reads the status. Dropping it aborts the worker.
struct RefreshWorker(Option<WorkerHandle>);

impl RefreshWorker {
    fn wake(&self) {
        self.0.iter().for_each(WorkerHandle::wake);
    }
}

impl Drop for RefreshWorker {
    fn drop(&mut self) {
        // A statement that cannot be cancelled must not delay the end of the program.
        if let Some(worker) = self.0.take()
            && !worker.abort()
        {
            std::mem::forget(worker);
        }
    }
}

struct Display<'a> {
    screen: Screen,
    model: Model,
    theme: Theme,
    refresher: &'a RefreshWorker,
    /// The time at which the last refresh began.
    began: Instant,
    /// True while a refresh is in progress.
    is_refreshing: bool,
    /// True if the next SIGTSTP is the one that this program has sent to its group.
    is_own_stop: bool,
}

/// The reaction of the event loop to an event.
#[derive(PartialEq)]
enum Flow {
    Continue,
    Leave,
}

impl Display<'_> {
    fn new(screen: Screen, interval: Duration, refresher: &RefreshWorker) -> Display<'_> {
        let (model, theme) = (Model::new(interval), Theme::from_environment());
        Display {
            screen,
            model,
            theme,
            refresher,
            began: Instant::now(),
            is_refreshing: true,
            is_own_stop: false,
        }
    }

    fn run_until_left(&mut self, events: &Receiver<Event>) -> Result<(), BoxError> {
        loop {
            self.draw().map_err(failed)?;
            // Events that arrive together are drawn once.
            let first = events.recv_timeout(self.time_to_wait()).ok();
            for event in first.into_iter().chain(events.try_iter()) {
                if self.handle(event).map_err(failed)? == Flow::Leave {
                    return Ok(());
                }
            }
            if !self.is_refreshing && !self.model.is_paused && self.began.elapsed() >= self.model.interval {
                self.refresh();
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        self.model.waiting = if self.is_refreshing { self.began.elapsed() } else { Duration::ZERO };
        self.screen.draw(|frame| view::draw(&mut self.model, self.theme, frame))
    }

    fn time_to_wait(&self) -> Duration {
        match (self.is_refreshing, self.model.is_paused) {
            (true, _) => WHILE_WAITING,
            (false, true) => WHILE_PAUSED,
            (false, false) => self.model.interval.saturating_sub(self.began.elapsed()),
        }
    }

    fn refresh(&mut self) {
        if !std::mem::replace(&mut self.is_refreshing, true) {
            self.began = Instant::now();
            self.refresher.wake();
        }
    }

    fn handle(&mut self, event: Event) -> io::Result<Flow> {
        match event {
            Event::Status(status) => {
                self.is_refreshing = false;
                self.model.update(status);
            }
            Event::Input(input) => {
                if let event::Event::Key(key) = input? {
                    return self.press(key);
                }
            }
            Event::Signal(SIGTSTP) if std::mem::take(&mut self.is_own_stop) => {}
            Event::Signal(SIGTSTP) => self.suspend()?,
            Event::Signal(SIGCONT) => self.screen.resume()?,
            Event::Signal(_) => return Ok(Flow::Leave),
        }
        Ok(Flow::Continue)
    }

    fn suspend(&mut self) -> io::Result<()> {
        if !process_group::can_be_continued() {
            return Ok(());
        }
        self.is_own_stop = true;
        self.screen.suspend(process_group::stop)
    }

    fn press(&mut self, key: event::KeyEvent) -> io::Result<Flow> {
        match keys::handle_key(&mut self.model, key) {
            Some(Action::Leave) => return Ok(Flow::Leave),
            Some(Action::Refresh) => self.refresh(),
            Some(Action::Redraw) => self.screen.redraw()?,
            Some(Action::Suspend) => self.suspend()?,
            None => {}
        }
        Ok(Flow::Continue)
    }
}

/// Turns the log off until dropped, since log and display may share the terminal. The display shows errors itself.
struct MutedLog(LevelFilter);

impl MutedLog {
    fn begin() -> MutedLog {
        let before = log::max_level();
        log::set_max_level(LevelFilter::Off);
        MutedLog(before)
    }
}

impl Drop for MutedLog {
    fn drop(&mut self) {
        log::set_max_level(self.0);
    }
}

fn watch_signals(events: Sender<Event>) -> Result<(), BoxError> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT])?;
    let forward = move || signals.forever().try_for_each(|signal| events.send(Event::Signal(signal)));
    thread::Builder::new().name("signals".to_owned()).spawn(forward)?;
    Ok(())
}

/// Reads the input on a new thread until the input fails.
fn watch_input(events: Sender<Event>) -> Result<(), BoxError> {
    let forward = move || {
        loop {
            let input = event::read();
            let is_lost = input.is_err();
            if events.send(Event::Input(input)).is_err() || is_lost {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(forward)?;
    Ok(())
}

fn failed(error: io::Error) -> BoxError {
    Error::failed("cannot use the terminal").caused_by(error).into()
}
