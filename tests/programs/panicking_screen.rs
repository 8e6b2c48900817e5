//! Takes the terminal over as `pgqadm status --watch` does, and panics.

use std::process::ExitCode;

use dbscript::{Job, Program};

#[path = "../../examples/pgqadm/watch/screen.rs"]
#[allow(dead_code, reason = "it does not reach the rest")]
mod screen;

fn main() -> ExitCode {
    Program::new("pgqadm").optional_database("db", "It is not used.").main(|_, _| {
        Ok(Job::once(|_| {
            let mut screen = screen::Screen::enter()?;
            screen.draw(|frame| frame.render_widget("drawn", frame.area()))?;
            panic!("the display fails");
        }))
    })
}
