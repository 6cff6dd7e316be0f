//! What the ledger says: the rules that a queue must keep.

use std::collections::BTreeMap;
use std::fmt;

use crate::ledger::Arrival;
use crate::ledger::Books;
use crate::ledger::Ledger;

/// How often each rule was broken, and the figures beside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    kills: usize,
    acknowledged: usize,
    arrivals: usize,
    /// Requests for what had been accepted before: a process died between sending and recording.
    again: usize,
    /// Acknowledged, and never accepted by the target.
    pub(crate) lost: usize,
    /// Arrived, and nobody had asked for it.
    pub(crate) invented: usize,
    /// Came after a later one of its key.
    pub(crate) out_of_order: usize,
    /// Came twice under two idempotency keys, or as two deliveries.
    pub(crate) two_faced: usize,
}

impl Verdict {
    pub(crate) fn of(ledger: &Ledger, kills: usize) -> Self {
        let books = ledger.books();
        let acknowledged = books.asked.values().flat_map(BTreeMap::values);
        let mut verdict = Self {
            kills,
            acknowledged: acknowledged.flatten().count(),
            lost: books.missing().count(),
            ..Self::default()
        };
        for (key, arrivals) in &books.arrived {
            verdict.look(&books, *key, arrivals);
        }
        verdict
    }

    fn look(&mut self, books: &Books, key: u32, arrivals: &[Arrival]) {
        let asked = books.asked.get(&key);
        let mut seen: BTreeMap<u64, &Arrival> = BTreeMap::new();
        let mut accepted: BTreeMap<u64, ()> = BTreeMap::new();
        let mut latest = 0;
        for arrival in arrivals {
            self.arrivals += 1;
            let known = asked.and_then(|asked| asked.get(&arrival.number));
            let own = known.is_some_and(|id| id.as_ref().is_none_or(|id| *id == arrival.delivery));
            self.invented += usize::from(!own);
            self.out_of_order += usize::from(arrival.number < latest);
            latest = latest.max(arrival.number);
            let first = *seen.entry(arrival.number).or_insert(arrival);
            let same = first.idempotency_key == arrival.idempotency_key
                && first.delivery == arrival.delivery
                && !arrival.idempotency_key.is_empty();
            self.two_faced += usize::from(!same);
            self.again += usize::from(accepted.contains_key(&arrival.number));
            if arrival.accepted {
                accepted.insert(arrival.number, ());
            }
        }
    }

    pub(crate) fn is_good(&self) -> bool {
        let broken = [self.lost, self.invented, self.out_of_order, self.two_faced];
        broken == [0; 4] && self.acknowledged > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, figure) in [
            ("kills", self.kills),
            ("acknowledged", self.acknowledged),
            ("arrivals", self.arrivals),
            ("delivered again", self.again),
            ("lost", self.lost),
            ("invented", self.invented),
            ("out of order", self.out_of_order),
            ("two keys for one", self.two_faced),
        ] {
            writeln!(f, "{name:>18}  {figure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(number: u64, accepted: bool) -> Arrival {
        Arrival {
            number,
            idempotency_key: format!("k{number}"),
            delivery: format!("d{number}"),
            accepted,
        }
    }

    fn judged(acknowledged: &[u64], arrivals: Vec<Arrival>) -> Verdict {
        let ledger = Ledger::default();
        for number in 0..5 {
            assert_eq!(ledger.ask(1), number);
        }
        for number in acknowledged {
            ledger.acknowledge(1, *number, format!("d{number}"));
        }
        for arrival in arrivals {
            ledger.arrive(1, arrival);
        }
        Verdict::of(&ledger, 0)
    }

    #[test]
    fn what_fails_and_comes_again_in_its_turn_is_in_order() {
        let arrivals = vec![
            arrival(0, false),
            arrival(0, true),
            arrival(0, true),
            arrival(2, true),
        ];
        let verdict = judged(&[0, 2], arrivals);
        assert!(verdict.is_good(), "{verdict}");
        assert_eq!(verdict.again, 1);
    }

    #[test]
    fn each_broken_rule_is_seen() {
        assert_eq!(judged(&[0, 1], vec![arrival(0, true)]).lost, 1);
        assert_eq!(judged(&[0], vec![arrival(0, false)]).lost, 1);
        assert_eq!(judged(&[], vec![arrival(7, true)]).invented, 1);
        let stranger = Arrival {
            delivery: "d9".to_owned(),
            ..arrival(0, true)
        };
        assert_eq!(judged(&[0], vec![stranger]).invented, 1);
        let early = vec![arrival(1, true), arrival(0, true)];
        assert_eq!(judged(&[], early).out_of_order, 1);
        let other = Arrival {
            idempotency_key: "x".to_owned(),
            ..arrival(0, true)
        };
        assert_eq!(judged(&[], vec![arrival(0, true), other]).two_faced, 1);
        assert!(!judged(&[], Vec::new()).is_good());
    }
}
