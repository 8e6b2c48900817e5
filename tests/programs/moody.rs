//! A program whose rounds are scripted: the key `moods` lists the action of each round; the last one is repeated.

use std::process::ExitCode;

use dbscript::{BoxError, Context, Error, Job, Key, Program, Round, Script};

const MOODS: Key = Key::required(
    "moods",
    "What each round does: fine, work, fail, panic, usage. As the first: refuse (to start up), unbuildable, once.",
);
const HOOK: Key =
    Key::with_default("hook", "set application_name = 'hooked'", "What sets up connections; empty: nothing.");

struct Moody {
    moods: Vec<String>,
    hook: String,
    rounds: usize,
}

impl Script for Moody {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let hook = self.hook.clone();
        if !hook.is_empty() {
            cx.databases().set_connection_hook(move |_, client| Ok(client.batch_execute(&hook)?));
        }
        if self.moods[0] == "refuse" {
            cx.database("db")?;
            return Err("not today".into());
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let mood = &self.moods[self.rounds.min(self.moods.len() - 1)];
        self.rounds += 1;
        match mood.as_str() {
            "fine" => Ok(Round::Idle),
            "work" => {
                let note = "insert into note select current_setting('application_name'), pg_backend_pid()";
                cx.database("db")?.execute_typed(note, &[])?;
                Ok(Round::Idle)
            }
            "fail" => Err("out of luck".into()),
            "panic" => panic!("oh dear"),
            "usage" => Err(Error::usage("not like this").into()),
            other => Err(Error::usage(format!("unknown mood `{other}`")).into()),
        }
    }

    fn shutdown(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        log::info!("shut down after {} rounds", self.rounds);
        Ok(())
    }
}

fn main() -> ExitCode {
    Program::new("moody").database("db", "Database.").keys(&[MOODS, HOOK]).main(|config, _| {
        let moods: Vec<_> = config.get(&MOODS)?.split_whitespace().map(str::to_owned).collect();
        match moods[0].as_str() {
            "unbuildable" => panic!("oh dear"),
            "once" => Ok(Job::once(|_| panic!("oh dear"))),
            _ => Ok(Job::looping(Moody { moods, hook: config.get(&HOOK)?, rounds: 0 })),
        }
    })
}
