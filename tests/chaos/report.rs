//! What a run showed.

use std::fmt;

use crate::gateway::Gateway;
use crate::load::Answers;
use crate::load::DEADLINE;
use crate::load::LATE;
use crate::load::Load;
use crate::schedule::Counted;
use crate::shop::Shop;

/// The metric of attempts after the first ones.
const RETRIES: &str = "switchboard_source_retries_total";

/// The service that writes go to.
const WRITES: &str = "reviews";

/// Every figure.
pub(crate) struct Report {
    answers: Answers,
    faults: Counted,
    sources: Vec<Source>,
    retries: Option<f64>,
    /// Reviews that are there of those that were written, and those that are there more than once.
    found: usize,
    twice: usize,
    /// MiB.
    peak: f64,
    now: f64,
}

struct Source {
    name: &'static str,
    planned: u64,
    calls: u64,
}

impl Report {
    pub(crate) async fn of(
        load: &Load<'_>,
        answers: Answers,
        faults: Counted,
        gateway: &Gateway,
        shop: &Shop,
    ) -> anyhow::Result<Self> {
        let sources = shop
            .services
            .iter()
            .zip(&answers.planned)
            .zip(load.calls(shop));
        let sources = sources.map(|((behind, planned), calls)| Source {
            name: behind.service.name(),
            planned: planned
                + if behind.service.name() == WRITES {
                    answers.written
                } else {
                    0
                },
            calls,
        });
        let sources = sources.collect();
        let (found, twice) = load.found().await?;
        let (peak, now) = gateway.memory()?;
        Ok(Self {
            retries: gateway.metric(RETRIES).await,
            answers,
            faults,
            sources,
            found,
            twice,
            peak,
            now,
        })
    }

    /// Nothing wrong, nothing lost, nothing done twice.
    pub(crate) fn is_good(&self) -> bool {
        self.answers.wrong == 0 && self.answers.none == 0 && self.twice == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &self.answers;
        let faults: u64 = self.faults.values().sum();
        let seconds = it.elapsed.as_secs_f64();
        writeln!(
            f,
            "faults        {faults} in {seconds:.0} s: {:?}",
            self.faults
        )?;
        writeln!(
            f,
            "requests      {} ({:.0} per second)",
            it.requests,
            it.requests as f64 / seconds
        )?;
        writeln!(f, "whole         {}", it.whole)?;
        writeln!(f, "partial       {}", it.partial)?;
        writeln!(f, "refused       {}", it.refused)?;
        writeln!(f, "wrong         {}", it.wrong)?;
        writeln!(f, "no answer     {}", it.none)?;
        writeln!(
            f,
            "late          {} (later than {} ms); the slowest took {} ms",
            it.late,
            (DEADLINE + LATE).as_millis(),
            it.slowest.as_millis()
        )?;
        writeln!(
            f,
            "written       {} mutations: {} done, {} more than once",
            it.written, self.found, self.twice
        )?;
        match self.retries {
            Some(retries) => writeln!(f, "retries       {retries}")?,
            None => writeln!(f, "retries       not told")?,
        }
        for source in &self.sources {
            let ratio = source.calls as f64 / source.planned.max(1) as f64;
            let (name, calls, planned) = (source.name, source.calls, source.planned);
            writeln!(
                f,
                "amplification {name}: {ratio:.3} ({calls} calls, {planned} without faults)"
            )?;
        }
        writeln!(
            f,
            "memory        {:.1} MiB at most, {:.1} MiB at the end",
            self.peak, self.now
        )?;
        match &it.example {
            Some(example) => writeln!(
                f,
                "such as       {}",
                example.chars().take(2_000).collect::<String>()
            ),
            None => Ok(()),
        }
    }
}
