//! Dispatch of log records to handlers.

use std::borrow::Cow;
use std::time::Instant;

use chrono::Local;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::entry::Entry;
use super::handlers::Handler;
use super::handlers::stream_handler::StreamHandler;
use super::identity::Identity;
use super::layout::Layout;
use super::layout::format::Origin;
use super::scope::Scope;
use crate::logging::backlog;
use crate::text::printable::one_line;

/// Passes each message to the handlers of the loggers that it belongs to. The levels of [`fern`] have filtered the
/// messages before.
pub(super) struct Logger {
    identity: Identity,
    started: Instant,
    /// The loggers, the innermost first.
    loggers: Vec<NamedLogger>,
    outputs: Vec<Output>,
    /// The layouts, without duplicates, so that a message is rendered once for all handlers with the same layout.
    layouts: Vec<Layout>,
    /// Shows the warnings and errors that no other handler receives.
    last_resort: StreamHandler,
}

/// A logger of a skylog file.
pub(super) struct NamedLogger {
    pub(super) scope: Scope,
    /// The level, or `None` for that of the next outer logger.
    pub(super) level: Option<LevelFilter>,
    /// True if the outer loggers receive the message too.
    pub(super) propagate: bool,
    /// Indices as [`Logger::add`] returns them.
    pub(super) outputs: Vec<usize>,
}

struct Output {
    handler: Box<dyn Handler>,
    level: LevelFilter,
    layout: usize,
}

impl Logger {
    /// Creates a logger with only a root that has no handlers.
    pub(super) fn new(identity: Identity) -> Logger {
        let root = NamedLogger { scope: Scope::Root, level: None, propagate: false, outputs: Vec::new() };
        Logger {
            identity,
            started: Instant::now(),
            loggers: vec![root],
            outputs: Vec::new(),
            layouts: Vec::new(),
            last_resort: StreamHandler::stderr(),
        }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Adds a handler and returns its index. The handler receives messages when a logger refers to the index.
    pub(super) fn add(&mut self, handler: Box<dyn Handler>, level: LevelFilter, layout: Layout) -> usize {
        let existing = self.layouts.iter().position(|existing| *existing == layout);
        let layout = existing.unwrap_or_else(|| {
            self.layouts.push(layout);
            self.layouts.len() - 1
        });
        self.outputs.push(Output { handler, level, layout });
        self.outputs.len() - 1
    }

    /// Adds a handler to the root logger.
    pub(super) fn add_to_root(&mut self, handler: Box<dyn Handler>, layout: Layout) {
        let output = self.add(handler, LevelFilter::Trace, layout);
        if let Some(root) = self.loggers.last_mut() {
            root.outputs.push(output);
        }
    }

    /// Adds a logger. It replaces an earlier one for the same messages.
    pub(super) fn add_logger(&mut self, logger: NamedLogger) {
        self.loggers.retain(|existing| existing.scope != logger.scope);
        self.loggers.push(logger);
        self.loggers.sort_by_key(|logger| logger.scope.order());
    }

    /// Returns the level of messages from modules without a level of their own.
    pub(super) fn default_level(&self, root: LevelFilter) -> LevelFilter {
        let of_job = |logger: &NamedLogger| logger.level.filter(|_| matches!(logger.scope, Scope::Job(_)));
        self.loggers.iter().find_map(of_job).unwrap_or(root)
    }

    /// Returns the modules that have levels of their own.
    pub(super) fn module_levels(&self) -> impl Iterator<Item = (&str, LevelFilter)> {
        self.loggers.iter().filter_map(|logger| match &logger.scope {
            Scope::Module(path) => Some((path.as_str(), logger.level?)),
            _ => None,
        })
    }

    fn deliver(&self, entry: &Entry<'_>, origin: &Origin<'_>) {
        let mut texts = vec![None; self.layouts.len()];
        let mut has_handlers = false;
        for logger in self.loggers.iter().filter(|logger| logger.scope.contains(entry.name)) {
            for output in logger.outputs.iter().map(|index| &self.outputs[*index]) {
                if output.accepts(entry.level) {
                    let render = || self.layouts[output.layout].render(entry, origin);
                    output.handler.handle(entry, texts[output.layout].get_or_insert_with(render));
                }
            }
            has_handlers |= !logger.outputs.is_empty();
            if !logger.propagate {
                break;
            }
        }
        if !has_handlers && entry.level <= Level::Warn {
            self.last_resort.handle(entry, &one_line(entry.message));
        }
    }
}

impl Output {
    fn accepts(&self, level: Level) -> bool {
        level <= self.level
    }
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().as_str().map_or_else(|| record.args().to_string().into(), Cow::Borrowed);
        let entry =
            Entry { created: Local::now(), level: record.level(), name: record.target(), message: &message };
        let origin = Origin {
            identity: &self.identity,
            file: record.file(),
            line: record.line(),
            started: self.started,
        };
        self.deliver(&entry, &origin);
    }

    fn flush(&self) {
        let backlogs: Vec<_> = self.outputs.iter().filter_map(|output| output.handler.backlog()).collect();
        backlog::flush(&backlogs);
    }
}
