//! The terminal in the mode of the display.

use std::io::{self, Stdout, stdout};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// The terminal in raw mode with the alternate screen. Dropping the value restores the terminal, also during a panic.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    is_active: bool,
}

impl Screen {
    /// Activates the mode of the display.
    pub(crate) fn enter() -> io::Result<Screen> {
        let mut screen =
            Screen { terminal: Terminal::new(CrosstermBackend::new(stdout()))?, is_active: false };
        screen.activate()?;
        Ok(screen)
    }

    /// Draws the changed parts of the screen.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }

    /// Clears the screen, so that the next draw repaints output of other programs.
    pub(crate) fn redraw(&mut self) -> io::Result<()> {
        self.clear()
    }

    /// Restores the terminal while `meanwhile` runs.
    pub(crate) fn suspend(&mut self, meanwhile: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.restore();
        meanwhile()?;
        self.activate()
    }

    /// Activates the mode again after the process was stopped.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.restore();
        self.activate()
    }

    fn activate(&mut self) -> io::Result<()> {
        self.is_active = true;
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        self.clear()
    }

    /// Clears the screen. `Terminal::clear` would query the position of the cursor, and the thread that reads keys
    /// would receive the answer.
    fn clear(&mut self) -> io::Result<()> {
        execute!(stdout(), Clear(ClearType::All))?;
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    fn restore(&mut self) {
        if std::mem::take(&mut self.is_active) {
            // The terminal may have been closed.
            let _ = execute!(stdout(), LeaveAlternateScreen, Show);
            let _ = disable_raw_mode();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
    }
}
