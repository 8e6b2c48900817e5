//! A terminal of its own, which is tmux's.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{output, programs, wait_for};

/// The text that the shell below the program prints when the program has ended, before the exit status.
const ENDED: &str = "ended with ";

/// A tmux server with one window, ended together with this value.
pub(crate) struct Terminal {
    folder: TempDir,
}

impl Terminal {
    /// Opens a terminal of 100 columns and 24 lines, and runs `pgqadm` with a database in it.
    pub(crate) fn open(conninfo: &str, arguments: &str) -> Terminal {
        Terminal::run("pgqadm", conninfo, &format!("adm.ini {arguments}"), "")
    }

    /// Opens a terminal and runs a program in it with variables of its own; a shell is left when it ends.
    pub(crate) fn run(program: &str, conninfo: &str, arguments: &str, variables: &str) -> Terminal {
        Terminal::run_with(program, conninfo, &format!("{arguments} 2> errors"), variables)
    }

    /// Does so with a program whose standard error is the terminal.
    pub(crate) fn run_with(program: &str, conninfo: &str, arguments: &str, variables: &str) -> Terminal {
        let terminal = Terminal::create(conninfo);
        let program = programs::program(program);
        // The shell in the middle becomes the program, so that the process id is that of the program.
        let script = format!(
            "stty -a > before; echo before; \
             {variables} sh -c 'echo $$ > pid; exec \"$0\" \"$@\"' '{}' {arguments}; \
             echo \"{ENDED}$?\"; stty -a > after; cat",
            program.display()
        );
        terminal.begin(&["sh", "-c", &script]);
        terminal
    }

    /// Opens a terminal with an interactive shell, in which `./wrapper` is a script that runs `pgqadm` as its child.
    pub(crate) fn open_shell(conninfo: &str, arguments: &str) -> Terminal {
        let terminal = Terminal::create(conninfo);
        let program = programs::program("pgqadm");
        let script = format!(
            "#!/bin/sh\nsh -c 'echo $$ > pid; exec \"$0\" adm.ini {arguments} 2> errors' '{}'\n\
             echo \"{ENDED}$?\"\n",
            program.display()
        );
        let path = terminal.folder.path().join("wrapper");
        std::fs::write(&path, script).expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("it is the test's");
        terminal.begin(&["env", "PS1=ready> ", "bash", "--norc", "--noprofile", "-i"]);
        terminal
    }

    fn create(conninfo: &str) -> Terminal {
        let terminal = Terminal { folder: tempfile::tempdir().expect("a temporary folder") };
        let ini = format!("[pgqadm]\njob_name = watcher\ndb = {conninfo}\n");
        std::fs::write(terminal.folder.path().join("adm.ini"), ini).expect("writable");
        terminal
    }

    fn begin(&self, command: &[&str]) {
        let new = ["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "24"];
        self.tmux(&[&new[..], command].concat());
    }

    /// Types keys, as tmux names them.
    pub(crate) fn type_keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Returns the content of the screen.
    pub(crate) fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Returns the content of the screen, with the sequences that colour it.
    pub(crate) fn colored(&self) -> String {
        String::from_utf8(self.tmux(&["capture-pane", "-p", "-e"]).stdout).expect("text")
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let reached = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(what, || {
                screen = self.screen();
                wanted(&screen)
            });
        }));
        assert!(reached.is_ok(), "waited too long for {what}:\n{screen}\n{}", self.file("errors"));
        screen
    }

    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    pub(crate) fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the process is there");
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains("stopped"))
    }

    /// Returns whether the screen is the one that programs draw on, and whether the cursor is shown.
    pub(crate) fn state(&self) -> (bool, bool) {
        let state = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        let state = String::from_utf8(state.stdout).expect("text");
        (state.starts_with('1'), state.trim_end().ends_with('1'))
    }

    /// Waits until the program has ended and returns its status, when the terminal is as it was before: the screen, the
    /// cursor and the input mode.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) -> String {
        let screen = self.wait_for_text(ENDED);
        assert!(screen.starts_with("before\n"), "the screen is restored: {screen}");
        assert_eq!(self.state(), (false, true), "no other screen, and a cursor");
        wait_for("the terminal's modes", || !self.file("after").is_empty());
        assert_eq!(self.file("before"), self.file("after"), "the terminal's modes");
        let status = screen.lines().find_map(|line| line.strip_prefix(ENDED)).expect("it ended");
        status.to_owned()
    }

    /// Returns the standard error of the program.
    pub(crate) fn errors(&self) -> String {
        self.file("errors")
    }

    fn pid(&self) -> i32 {
        self.file("pid").trim().parse().expect("a process id")
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().expect("tmux is there: run `scripts/setup`");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {errors}");
        output
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.socket()).current_dir(self.folder.path());
        command.env_remove("TMUX").env_remove("NO_COLOR").env("LC_ALL", "C.UTF-8").env("SHELL", "/bin/sh");
        command
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("tmux")
    }
}

/// Returns the text of a screen without its lines.
pub(crate) fn unwrapped(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Drop for Terminal {
    fn drop(&mut self) {
        output::keep(self.errors().as_bytes());
        // A program that has already ended is not killed.
        let _ = self.command().arg("kill-server").output();
    }
}
