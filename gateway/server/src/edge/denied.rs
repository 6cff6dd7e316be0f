//! What a client above a rate limit is answered.
//!
//! Owns the problem and its headers: when to come back, and what was exceeded.

use http::HeaderMap;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde_json::Value as Json;

use super::problem::Kind;
use super::problem::Problem;
use crate::rate_limits::Denied;
use crate::rate_limits::Standings;
use crate::rate_limits::Unit;
use crate::rate_limits::seconds;

const POLICIES: &str = "violated-policies";

pub(super) fn problem(denied: &Denied, standings: &Standings) -> Problem {
    let problem = match denied {
        Denied::Exhausted { policies, wait } => {
            let wait = seconds(*wait).max(1);
            let names: Vec<Json> = policies.iter().map(|name| (&**name).into()).collect();
            let detail = format!("The quota is used up. Send the request again in {wait} s.");
            retry_after(Problem::new(Kind::QuotaExceeded, detail), wait).member(POLICIES, names)
        }
        Denied::AboveBurst {
            policy,
            unit,
            amount,
            burst,
        } => {
            let what = match unit {
                Unit::Requests => "root fields",
                Unit::Cost => "points",
            };
            let detail = format!(
                "This operation takes {amount} {what}, and `{policy}` never grants more than {burst} at once. Ask for \
                 less: waiting does not help."
            );
            Problem::new(Kind::CostAboveBurst, detail)
                .member("code", "COST_ABOVE_BURST")
                .member(POLICIES, vec![Json::from(&**policy)])
        }
        Denied::Away => {
            let detail = "Whether the request is within its quota cannot be told for now.";
            retry_after(Problem::new(Kind::Overloaded, detail), 1)
        }
    };
    let mut headers = HeaderMap::new();
    standings.write_refusal(&mut headers);
    let named = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name?, value)));
    named.fold(problem, |problem, (name, value)| {
        problem.header(name, value)
    })
}

fn retry_after(problem: Problem, seconds: u64) -> Problem {
    problem.header(RETRY_AFTER, HeaderValue::from(seconds))
}
