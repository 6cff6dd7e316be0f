//! Limits and costs: each limit is the default, then what the file says, then what it says of a client.

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use plan::limits::Limit;

use crate::config::file::File;
use crate::config::file::cost::Longer as FileLonger;
use crate::config::file::limits::ClientMatch as FileMatch;
use crate::config::file::limits::LimitMode;
use crate::config::file::limits::LimitName;
use crate::config::file::limits::LimitSetting;
use crate::config::problem::only;
use crate::cost::CostSettings;
use crate::cost::Longer;
use crate::limits::ClientLimits;
use crate::limits::ClientMatch;
use crate::limits::Limits;

/// What is decided of costs, the limit apart.
pub(super) fn cost(file: &File) -> CostSettings {
    let sources = file.sources();
    let unsaid = LimitSetting::default();
    CostSettings {
        expose: file.cost.expose,
        longer: match file.cost.longer {
            FileLonger::Charge => Longer::Charge,
            FileLonger::Error => Longer::Refuse,
        },
        sources: sources
            .filter(|(_, source)| source.cost != unsaid)
            .map(|(name, source)| {
                let limit = source.cost.over(Limit::OFF, file.limits.mode);
                (name.clone(), limit)
            })
            .collect(),
    }
}

/// The limits of every kind of client.
pub(super) fn limits(file: &File) -> Result<ClientLimits, Diagnostics> {
    let mut safe = Limits::default();
    safe.operation.list_size = file.cost.list_size.into();
    let file = &file.limits;
    let set = |limits: Limits, (name, setting): (LimitName, LimitSetting)| {
        set_limit(limits, name, setting, file.mode)
    };
    // What the file leaves out keeps its maximum, and the file's mode.
    let unsaid = LimitSetting {
        max: None,
        mode: Some(file.mode),
    };
    let usual = file.named().map(|(name, _)| (name, unsaid));
    let others = usual.into_iter().chain(file.named()).fold(safe, set);
    let clients = file.clients.iter().enumerate().map(|(place, client)| {
        let profile = place + 1;
        let own = client.limits.iter().map(|(name, own)| (*name, *own));
        let limits = own.fold(Limits { profile, ..others }, set);
        Ok((client_match(place, &client.matches)?, limits))
    });
    Ok(ClientLimits {
        clients: clients.collect::<Result<_, Diagnostics>>()?,
        others,
    })
}

fn set_limit(
    mut limits: Limits,
    name: LimitName,
    setting: LimitSetting,
    mode: LimitMode,
) -> Limits {
    let operation = &mut limits.operation;
    match (name, name.kind()) {
        (_, Some(kind)) => {
            let limit = setting.over(operation.get(kind), mode);
            *operation = operation.with(kind, limit);
        }
        (LimitName::Errors, _) => operation.errors = setting.over(operation.errors, mode),
        (LimitName::Cost, _) => limits.cost = setting.over(limits.cost, mode),
        (_, None) => operation.planning = setting.over(operation.planning, mode),
    }
    limits
}

fn client_match(place: usize, matches: &FileMatch) -> Result<ClientMatch, Diagnostics> {
    let wrong = |why: &str| {
        let message = format!("limits.clients[{place}].match: {why}");
        let help = "write { api_key: ID } or { claim: PATH, equals: VALUE }";
        only(Diagnostic::error("CONFIG_VALUE", message).help(help))
    };
    let claim = match (&matches.claim, &matches.equals) {
        (Some(path), Some(value)) => Some((path.clone(), value.clone())),
        (None, None) if matches.api_key.is_none() => {
            return Err(wrong("nothing says which clients these are"));
        }
        (None, None) => None,
        _ => return Err(wrong("`claim` and `equals` go together")),
    };
    Ok(ClientMatch {
        api_key: matches.api_key.clone(),
        claim,
    })
}
