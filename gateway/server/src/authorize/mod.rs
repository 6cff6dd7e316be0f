//! What a caller may do.
//!
//! Owns the order in which an operation's demands are decided, what becomes of
//! those that are not met, and whom to ask about policies. Knows nothing of how
//! a plan keeps a denied field from being read, nor of tokens.

mod policies;

use compose::Diagnostics;
use compose::Supergraph;
use compose::diagnostic::Diagnostic;
use compose::model::Demand;
use plan::Plan;
use plan::Refusal;
use plan::access::Asker;
use plan::access::Judgement;
use plan::model::Variables;
use tokio::time::Instant;

use self::policies::Decision;
use self::policies::Policies;
use crate::authenticate::Principal;
use crate::config::Authorization as Settings;
use crate::config::AuthorizationMode as Mode;
use crate::config::OnPolicyFailure;

/// Decides the demands of one graph's operations.
pub(crate) struct Authorization {
    mode: Mode,
    refuse: bool,
    policies: Option<Policies>,
}

/// On whose behalf something is decided, and until when.
pub(crate) struct Asking<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) correlation_id: &'a str,
    pub(crate) deadline: Instant,
}

impl Authorization {
    /// # Errors
    /// Where the policy service's address or headers cannot be sent.
    pub(crate) fn new(settings: &Settings, supergraph: &Supergraph) -> Result<Self, Diagnostics> {
        if !supergraph.demands().is_empty() {
            warn_of(settings, supergraph);
        }
        let policies = settings.policy.as_ref().map(Policies::new).transpose();
        Ok(Self {
            mode: settings.mode,
            refuse: settings.refuse,
            policies: policies.map_err(cannot_ask)?,
        })
    }

    /// Decides everything that the plan demands; the variables carry what was decided.
    pub(crate) async fn judge(
        &self,
        plan: &Plan,
        variables: Variables,
        asking: Asking<'_>,
    ) -> Result<Variables, Refusal> {
        let mut judgement = plan.judge(variables, asking.principal);
        if self.mode == Mode::Off {
            return Ok(judgement.waived());
        }
        self.decide_policies(plan, &mut judgement, &asking).await;
        if self.mode == Mode::Measure {
            measured(plan, &judgement);
            return Ok(judgement.waived());
        }
        match self.refuse.then(|| judgement.refusal()).flatten() {
            Some(refusal) => Err(refusal),
            None => Ok(judgement.into_variables()),
        }
    }

    async fn decide_policies(
        &self,
        plan: &Plan,
        judgement: &mut Judgement<'_>,
        asking: &Asking<'_>,
    ) {
        let wanted = judgement.policies();
        // Where nobody decides policies, none of them holds: they are not met as they stand.
        let Some(policies) = self.policies.as_ref().filter(|_| !wanted.is_empty()) else {
            return;
        };
        match policies.ask(&wanted, plan.operation_name(), asking).await {
            Decision::Granted(granted) => judgement.decide(Some(&|it| granted.contains(it))),
            Decision::Everything => judgement.decide(Some(&|_| true)),
            Decision::Nothing => judgement.decide(None),
        }
    }
}

fn cannot_ask(what: String) -> Diagnostics {
    Diagnostics(vec![Diagnostic::error(
        "CONFIG_VALUE",
        format!("authorization.policy: {what}"),
    )])
}

/// Whoever starts a gateway that protects less than the files say is to know it.
fn warn_of(settings: &Settings, supergraph: &Supergraph) {
    match settings.mode {
        Mode::Enforce => {}
        Mode::Measure => tracing::warn!(
            target: "authorization",
            "authorization.mode is measure: what the subgraph files protect is READ BY EVERYBODY, and only logged"
        ),
        Mode::Off => tracing::warn!(
            target: "authorization",
            "authorization.mode is off: what the subgraph files protect is READ BY EVERYBODY"
        ),
    }
    let of_policy = |demand: &Demand| matches!(demand, Demand::Policies(_));
    let demanded = supergraph.demands().iter().any(of_policy);
    match settings.policy.as_ref().map(|policy| policy.on_failure) {
        None if demanded => tracing::warn!(
            target: "authorization",
            "the subgraph files demand policies, and authorization.policy names nobody who decides them: all are denied"
        ),
        Some(OnPolicyFailure::Allow) => tracing::warn!(
            target: "authorization",
            "authorization.policy.on_failure is allow: when its service is down, every policy holds FOR EVERYBODY"
        ),
        _ => {}
    }
}

/// What would have been denied, for the operator.
fn measured(plan: &Plan, judgement: &Judgement<'_>) {
    let Some(refusal) = judgement.refusal() else {
        return;
    };
    let denied: Vec<&str> = refusal
        .errors
        .iter()
        .map(|it| it.message.as_str())
        .collect();
    tracing::warn!(
        target: "authorization",
        operation = plan.operation_name().unwrap_or(""),
        code = refusal.code.as_str(),
        denied = denied.join(" "),
        "would be denied"
    );
}

impl Asker for Principal {
    fn is_authenticated(&self) -> bool {
        Principal::is_authenticated(self)
    }

    fn has_scope(&self, scope: &str) -> bool {
        let scopes = self.scopes();
        scopes.binary_search_by(|it| it.as_str().cmp(scope)).is_ok()
    }
}
