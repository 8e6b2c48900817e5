//! Runs the display: waits for keys, signals and what the database says, and draws.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use dbscript::{BoxError, Error, Worker, WorkerHandle};
use log::LevelFilter;
use ratatui::crossterm::event;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::job;
use super::keys::{self, Action};
use super::model::Model;
use super::reader::{self, Look};
use super::screen::Screen;
use super::snapshot::Snapshot;
use super::style::Theme;
use super::view;

/// While a look takes long, the display tells so as often as this.
const WHILE_WAITING: Duration = Duration::from_secs(1);
const WHILE_PAUSED: Duration = Duration::from_secs(60 * 60);

/// What happens.
pub(crate) enum Event {
    Input(io::Result<event::Event>),
    Signal(i32),
    Look(Result<Snapshot, String>),
}

/// Shows what the worker's looks find, until the user leaves.
pub(crate) fn run(worker: Worker, look: Look, interval: Duration) -> Result<(), BoxError> {
    let (sender, events) = mpsc::channel();
    let _silence = Silence::begin();
    watch_signals(sender.clone())?;
    let looks = Looks(Some(reader::start(worker, look, sender.clone())?));
    let mut display = Display::new(Screen::enter().map_err(failed)?, interval, &looks);
    watch_input(sender)?;
    display.until_left(&events)
}

/// The worker that looks, ended together with this value.
struct Looks(Option<WorkerHandle>);

impl Looks {
    fn wake(&self) {
        self.0.iter().for_each(WorkerHandle::wake);
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        // A statement that cannot be cancelled must not keep the user.
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
    looks: &'a Looks,
    /// When the last look began, and whether it is under way.
    began: Instant,
    is_looking: bool,
    /// Whether the next SIGTSTP is the one with which this program has stopped its group.
    is_own_stop: bool,
}

/// Whether the display goes on.
#[derive(PartialEq)]
enum Next {
    GoOn,
    Leave,
}

impl Display<'_> {
    fn new(screen: Screen, interval: Duration, looks: &Looks) -> Display<'_> {
        let (model, theme) = (Model::new(interval), Theme::from_environment());
        Display { screen, model, theme, looks, began: Instant::now(), is_looking: true, is_own_stop: false }
    }

    fn until_left(&mut self, events: &Receiver<Event>) -> Result<(), BoxError> {
        loop {
            self.draw().map_err(failed)?;
            // What came together is drawn once.
            let first = events.recv_timeout(self.time_to_wait()).ok();
            for event in first.into_iter().chain(events.try_iter()) {
                if self.handle(event).map_err(failed)? == Next::Leave {
                    return Ok(());
                }
            }
            if !self.is_looking && !self.model.is_paused && self.began.elapsed() >= self.model.interval {
                self.look();
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        self.model.waiting = if self.is_looking { self.began.elapsed() } else { Duration::ZERO };
        self.screen.draw(|frame| view::draw(&mut self.model, self.theme, frame))
    }

    fn time_to_wait(&self) -> Duration {
        match (self.is_looking, self.model.is_paused) {
            (true, _) => WHILE_WAITING,
            (false, true) => WHILE_PAUSED,
            (false, false) => self.model.interval.saturating_sub(self.began.elapsed()),
        }
    }

    fn look(&mut self) {
        if !std::mem::replace(&mut self.is_looking, true) {
            self.began = Instant::now();
            self.looks.wake();
        }
    }

    fn handle(&mut self, event: Event) -> io::Result<Next> {
        match event {
            Event::Look(look) => {
                self.is_looking = false;
                self.model.update(look);
            }
            Event::Input(input) => {
                if let event::Event::Key(key) = input? {
                    return self.press(key);
                }
            }
            Event::Signal(SIGTSTP) if std::mem::take(&mut self.is_own_stop) => {}
            Event::Signal(SIGTSTP) => self.suspend()?,
            Event::Signal(SIGCONT) => self.screen.retake()?,
            Event::Signal(_) => return Ok(Next::Leave),
        }
        Ok(Next::GoOn)
    }

    fn suspend(&mut self) -> io::Result<()> {
        if !job::can_go_on() {
            return Ok(());
        }
        self.is_own_stop = true;
        self.screen.lend(job::stop)
    }

    fn press(&mut self, key: event::KeyEvent) -> io::Result<Next> {
        match keys::press(&mut self.model, key) {
            Some(Action::Leave) => return Ok(Next::Leave),
            Some(Action::Refresh) => self.look(),
            Some(Action::Redraw) => self.screen.redraw()?,
            Some(Action::Suspend) => self.suspend()?,
            None => {}
        }
        Ok(Next::GoOn)
    }
}

/// Keeps the log off the screen, since both may be the same terminal; what fails is shown in the display.
struct Silence(LevelFilter);

impl Silence {
    fn begin() -> Silence {
        let before = log::max_level();
        log::set_max_level(LevelFilter::Off);
        Silence(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        log::set_max_level(self.0);
    }
}

fn watch_signals(events: Sender<Event>) -> Result<(), BoxError> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT])?;
    let pass_on = move || signals.forever().try_for_each(|signal| events.send(Event::Signal(signal)));
    thread::Builder::new().name("signals".to_owned()).spawn(pass_on)?;
    Ok(())
}

/// Reads on until the input fails; the thread ends with the process.
fn watch_input(events: Sender<Event>) -> Result<(), BoxError> {
    let pass_on = move || {
        loop {
            let input = event::read();
            let is_lost = input.is_err();
            if events.send(Event::Input(input)).is_err() || is_lost {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(pass_on)?;
    Ok(())
}

fn failed(error: io::Error) -> BoxError {
    Error::failed("cannot use the terminal").caused_by(error).into()
}
