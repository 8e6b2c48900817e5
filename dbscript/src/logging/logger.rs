//! From a record to the handlers.

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
use crate::text::plain::one_line;

/// Hands each message to the handlers of the loggers that it belongs to. Whether a message is wanted at all
/// has been decided before.
pub(super) struct Logger {
    identity: Identity,
    started: Instant,
    /// The innermost first.
    loggers: Vec<Named>,
    outputs: Vec<Output>,
    /// Each once, so that a message is rendered once for all handlers that show it alike.
    layouts: Vec<Layout>,
    /// Shows warnings and errors that no handler is there for.
    last_resort: StreamHandler,
}

/// A logger of a skylog file.
pub(super) struct Named {
    pub(super) scope: Scope,
    /// None: that of the next logger outwards.
    pub(super) level: Option<LevelFilter>,
    /// Whether the loggers outwards get the message too.
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
    /// Makes a logger that has nothing but a root without handlers.
    pub(super) fn new(identity: Identity) -> Logger {
        let root = Named { scope: Scope::Root, level: None, propagate: false, outputs: Vec::new() };
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

    /// Adds a handler, which gets nothing until a logger has it, and returns its index.
    pub(super) fn add(&mut self, handler: Box<dyn Handler>, level: LevelFilter, layout: Layout) -> usize {
        let known = self.layouts.iter().position(|known| *known == layout);
        let layout = known.unwrap_or_else(|| {
            self.layouts.push(layout);
            self.layouts.len() - 1
        });
        self.outputs.push(Output { handler, level, layout });
        self.outputs.len() - 1
    }

    /// Adds a handler of the root.
    pub(super) fn add_to_root(&mut self, handler: Box<dyn Handler>, layout: Layout) {
        let output = self.add(handler, LevelFilter::Trace, layout);
        if let Some(root) = self.loggers.last_mut() {
            root.outputs.push(output);
        }
    }

    /// Adds a logger. One for the same messages as an earlier one replaces it.
    pub(super) fn add_logger(&mut self, logger: Named) {
        self.loggers.retain(|known| known.scope != logger.scope);
        self.loggers.push(logger);
        self.loggers.sort_by_key(|logger| logger.scope.order());
    }

    /// Returns the level of all messages for which no module's logger says otherwise.
    pub(super) fn default_level(&self, root: LevelFilter) -> LevelFilter {
        let of_job = |logger: &Named| logger.level.filter(|_| matches!(logger.scope, Scope::Job(_)));
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
                if output.takes(entry.level) {
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
    fn takes(&self, level: Level) -> bool {
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
