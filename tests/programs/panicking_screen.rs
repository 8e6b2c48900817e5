//! Takes the terminal over as `pgqadm status --watch` does, and panics.

#[path = "../../examples/pgqadm/watch/screen.rs"]
#[allow(dead_code, reason = "it does not come to the rest")]
mod screen;

fn main() {
    let mut screen = screen::Screen::enter().expect("a terminal");
    screen.draw(|frame| frame.render_widget("drawn", frame.area())).expect("drawn");
    panic!("the display fails");
}
