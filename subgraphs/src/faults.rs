//! How a service misbehaves: the settings, their two spellings (flags and JSON), and the dice.
//!
//! What a misbehaving reply looks like is `misbehave`'s business.

use std::{
    fmt::Display,
    str::FromStr,
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::seed::Draw;

/// What share of requests goes wrong, and how. One request suffers at most one of them, after the latency.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Milliseconds before anything else happens.
    pub latency_ms: u64,
    /// Share (0 to 1) answered with 503 or UNAVAILABLE.
    pub error_rate: f64,
    /// Share that is never answered.
    pub hang_rate: f64,
    /// Share answered with something that is not what the contract says.
    pub malformed_rate: f64,
    /// Share cut off in the middle of the reply.
    pub truncate_rate: f64,
}

impl Faults {
    /// A service that behaves.
    pub const NONE: Self = Self {
        latency_ms: 0,
        error_rate: 0.0,
        hang_rate: 0.0,
        malformed_rate: 0.0,
        truncate_rate: 0.0,
    };

    /// The time every request waits first.
    pub fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms)
    }

    /// Refuses shares that are no shares.
    ///
    /// # Errors
    /// When a rate is outside 0 to 1, or they add up to more than 1.
    pub fn validated(self) -> Result<Self, String> {
        let rates = [
            self.error_rate,
            self.hang_rate,
            self.malformed_rate,
            self.truncate_rate,
        ];
        if rates.iter().any(|rate| !(0.0..=1.0).contains(rate)) {
            return Err("each rate must lie between 0 and 1".to_owned());
        }
        if rates.iter().sum::<f64>() > 1.0 {
            return Err("the rates add up to more than 1".to_owned());
        }
        Ok(self)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "latency" | "latency_ms" => self.latency_ms = milliseconds(value)?,
            "error" | "error_rate" => self.error_rate = parse(name, value)?,
            "hang" | "hang_rate" => self.hang_rate = parse(name, value)?,
            "malformed" | "malformed_rate" => self.malformed_rate = parse(name, value)?,
            "truncate" | "truncate_rate" => self.truncate_rate = parse(name, value)?,
            _ => {
                return Err(format!(
                    "unknown fault `{name}`: use latency, error_rate, hang, malformed, truncate"
                ));
            }
        }
        Ok(())
    }

    /// `share` lies in 0..1; each outcome owns an interval as long as its rate.
    fn outcome(&self, share: f64) -> Outcome {
        let mut end = 0.0;
        let intervals = [
            (self.error_rate, Outcome::Fail),
            (self.hang_rate, Outcome::Hang),
            (self.malformed_rate, Outcome::Malform),
            (self.truncate_rate, Outcome::Truncate),
        ];
        for (rate, outcome) in intervals {
            end += rate;
            if share < end {
                return outcome;
            }
        }
        Outcome::Answer
    }
}

/// Reads the flag: `latency=200ms,error_rate=0.1`. An empty text is a service that behaves.
impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut faults = Self::NONE;
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("`{pair}` is not of the form name=value"))?;
            faults.set(name.trim(), value.trim())?;
        }
        faults.validated()
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let (number, factor) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => (text, 1),
    };
    parse::<u64>("latency", number).map(|number| number.saturating_mul(factor))
}

fn parse<T: FromStr<Err: Display>>(name: &str, value: &str) -> Result<T, String> {
    value
        .trim()
        .parse()
        .map_err(|error| format!("{name}={value}: {error}"))
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answer,
    Fail,
    Hang,
    Malform,
    Truncate,
}

/// The settings of a running service, changeable while it runs.
///
/// The dice start from a fixed seed: the same sequence of requests suffers the same faults.
#[derive(Debug)]
pub struct FaultSwitch {
    faults: RwLock<Faults>,
    rolls: AtomicU64,
}

impl FaultSwitch {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            faults: RwLock::new(faults),
            rolls: AtomicU64::new(0),
        }
    }

    /// The present settings.
    pub fn get(&self) -> Faults {
        *self
            .faults
            .read()
            .expect("no holder of this lock can panic")
    }

    /// Replaces all settings for the requests that come from now on.
    pub fn set(&self, faults: Faults) {
        *self
            .faults
            .write()
            .expect("no holder of this lock can panic") = faults;
    }

    pub(crate) fn roll(&self) -> Outcome {
        let faults = self.get();
        if faults == Faults::NONE {
            return Outcome::Answer;
        }
        faults.outcome(Draw::new(self.rolls.fetch_add(1, Ordering::Relaxed)).share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_each_fault() {
        let faults: Faults = "latency=200ms, error_rate=0.1,hang=0.01,malformed=0.05,truncate=0.02"
            .parse()
            .unwrap();
        let expected = Faults {
            latency_ms: 200,
            error_rate: 0.1,
            hang_rate: 0.01,
            malformed_rate: 0.05,
            truncate_rate: 0.02,
        };
        assert_eq!(faults, expected);
        assert_eq!(
            "latency=2s".parse::<Faults>().unwrap().latency(),
            Duration::from_secs(2)
        );
        assert_eq!("".parse::<Faults>().unwrap(), Faults::NONE);
    }

    #[test]
    fn flags_that_mean_nothing_are_refused() {
        for flags in [
            "speed=3",
            "latency",
            "error=2",
            "error=-1",
            "error=NaN",
            "error=0.6,hang=0.6",
            "latency=soon",
        ] {
            assert!(flags.parse::<Faults>().is_err(), "{flags} was accepted");
        }
    }

    #[test]
    fn the_dice_keep_to_the_rates() {
        let switch = FaultSwitch::new("error=0.25,hang=0.25,malformed=0.25".parse().unwrap());
        let rolls: Vec<Outcome> = (0..4000).map(|_| switch.roll()).collect();
        for outcome in [
            Outcome::Fail,
            Outcome::Hang,
            Outcome::Malform,
            Outcome::Answer,
        ] {
            let count = rolls.iter().filter(|roll| **roll == outcome).count();
            assert!((900..1100).contains(&count), "{outcome:?}: {count} of 4000");
        }
        assert!(!rolls.contains(&Outcome::Truncate));
    }

    #[test]
    fn a_rate_of_one_spares_nobody() {
        let switch = FaultSwitch::new(Faults {
            truncate_rate: 1.0,
            ..Faults::NONE
        });
        assert!((0..100).all(|_| switch.roll() == Outcome::Truncate));
    }
}
