//! The order of a run: each scenario, each variant, each round, each contestant in turn.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Instant;

use chrono::Utc;

use crate::contestant::Contestant;
use crate::options::Options;
use crate::record::{Measurement, Place, Record, Records};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::server::{Durability, Server};
use crate::{BoxError, describe};

/// Measures everything that the options select. A contestant that fails does not stop the others.
///
/// # Errors
///
/// When a server cannot be started, the results cannot be written, or no contestant is selected.
pub(crate) fn measure(options: &Options) -> Result<(), BoxError> {
    let contestants: Vec<Contestant> =
        Contestant::all()?.into_iter().filter(|one| options.selects(&one.name)).collect();
    let unknown = options.only.iter().find(|name| contestants.iter().all(|one| one.name != **name));
    if let Some(name) = unknown {
        return Err(format!("there is no contestant `{name}` in benches/field/contestants").into());
    }
    let mut records = Records::open(&options.out)?;
    for durability in &options.durability {
        Turns { options, durability: *durability, contestants: &contestants, described: BTreeSet::new() }
            .measure(&mut records)?;
    }
    Ok(())
}

/// The turns on one server.
struct Turns<'a> {
    options: &'a Options,
    durability: Durability,
    contestants: &'a [Contestant],
    /// The contestants whose versions are in the results.
    described: BTreeSet<String>,
}

impl Turns<'_> {
    fn measure(&mut self, records: &mut Records) -> Result<(), BoxError> {
        let server = Server::start(self.durability)?;
        records.add(&environment(&server)?)?;
        for scenario in &self.options.scenarios {
            for variant in scenario.variants(&self.options.size) {
                for round in 1..=self.options.size.rounds {
                    for contestant in self.contestants {
                        let place = self.place(&server, *scenario, variant, contestant, round);
                        let record = self.turn(&server, *scenario, contestant, place, records)?;
                        records.add(&record)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn place(
        &self,
        server: &Server,
        scenario: Scenario,
        variant: &str,
        contestant: &Contestant,
        round: u32,
    ) -> Place {
        Place {
            postgres: server.version.clone(),
            durability: self.durability.text().to_owned(),
            scenario: scenario.name().to_owned(),
            variant: variant.to_owned(),
            contestant: contestant.name.clone(),
            round,
        }
    }

    fn turn(
        &mut self,
        server: &Server,
        scenario: Scenario,
        contestant: &Contestant,
        place: Place,
        records: &mut Records,
    ) -> Result<Record, BoxError> {
        if !contestant.postgres.contains(&self.options.postgres) {
            return Ok(Record::Failure { place, reason: "does not run on this PostgreSQL".to_owned() });
        }
        let began = Instant::now();
        let mut run = Run::begin(server, contestant, &self.options.size)?;
        let result = scenario.measure(&mut run, &place.variant);
        if self.described.insert(contestant.name.clone()) {
            records.add(&descriptor(contestant, &run))?;
        }
        let title = [&place.scenario, &place.variant, &place.contestant].map(String::as_str).join(" ");
        let title = format!("{title} (turn of {:.1}s)", began.elapsed().as_secs_f64());
        match result {
            Ok(outcome) => {
                eprintln!("{title}: {}", brief(&outcome.figures));
                let (figures, series) = (outcome.figures, outcome.series);
                Ok(Record::Measurement(Measurement { place, figures, series }))
            }
            Err(error) => {
                let reason = describe(&*error);
                eprintln!("{title}: FAILED: {reason}");
                Ok(Record::Failure { place, reason })
            }
        }
    }
}

fn brief(figures: &crate::record::Figures) -> String {
    let texts: Vec<String> = figures.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
    texts.join(", ")
}

fn descriptor(contestant: &Contestant, run: &Run<'_>) -> Record {
    let remarks = [
        ("language", &contestant.language),
        ("fan-out", &contestant.fan_out),
        ("bulk", &contestant.bulk),
        ("poison", &contestant.poison),
        ("crash", &contestant.crash),
    ];
    let remarks = remarks.into_iter().filter(|(_, text)| !text.is_empty());
    let remarks = remarks.map(|(name, text)| (name.to_owned(), text.clone()));
    Record::Descriptor {
        contestant: contestant.name.clone(),
        display_name: contestant.display_name.clone(),
        facts: run.versions().iter().cloned().chain(remarks).collect(),
    }
}

fn environment(server: &Server) -> Result<Record, BoxError> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let facts = [
        ("begun", Utc::now().format("%Y-%m-%d %H:%M UTC").to_string()),
        ("processor", model.trim_start_matches([' ', '\t', ':']).to_owned()),
        ("cores", thread::available_parallelism()?.to_string()),
        ("memory", memory.lines().next().unwrap_or_default().replace("MemTotal:", "").trim().to_owned()),
        ("kernel", kernel.trim().to_owned()),
        ("PostgreSQL", server.version.clone()),
        ("settings", server.settings()?),
    ];
    Ok(Record::Environment { facts: facts.map(|(name, text)| (name.to_owned(), text)).into() })
}
