//! The terminal, taken over and given back.

use std::io::{self, Stdout, stdout};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// The terminal while this program has it; dropping gives it back as it was, also when a panic does that.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    is_ours: bool,
}

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn enter() -> io::Result<Screen> {
        let mut screen = Screen { terminal: Terminal::new(CrosstermBackend::new(stdout()))?, is_ours: false };
        screen.take()?;
        Ok(screen)
    }

    /// Draws where something has changed.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }

    /// Draws everything at the next time: something else may have written to the terminal.
    pub(crate) fn redraw(&mut self) -> io::Result<()> {
        self.clear()
    }

    /// Gives the terminal back for a while.
    pub(crate) fn lend(&mut self, meanwhile: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.give_back();
        meanwhile()?;
        self.take()
    }

    /// Takes the terminal over again, whatever was done to it while the process was stopped.
    pub(crate) fn retake(&mut self) -> io::Result<()> {
        self.give_back();
        self.take()
    }

    fn take(&mut self) -> io::Result<()> {
        self.is_ours = true;
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        self.clear()
    }

    /// Begins with an empty screen. The library's own way asks the terminal where the cursor is, and the answer
    /// would go to whoever reads the keys.
    fn clear(&mut self) -> io::Result<()> {
        execute!(stdout(), Clear(ClearType::All))?;
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.is_ours) {
            // A terminal that is gone needs nothing.
            let _ = execute!(stdout(), LeaveAlternateScreen, Show);
            let _ = disable_raw_mode();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
    }
}
