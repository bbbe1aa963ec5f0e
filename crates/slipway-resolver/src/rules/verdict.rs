//! Explanation of a decision: the verdict of every release, and the rule that determined it.

use super::decide::{Decision, Outcome, candidate, decide_resource, gates};
use super::detail::Subject;
use super::rule::Rule;
use crate::check::Check;
use crate::check_context::CheckContext;
use crate::layout::{AppPart, CompiledRelease, PublishedApp, PublishedResource};
use slipway_domain::catalog::ids::ReleaseId;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::version::VersionCode;

/// Verdict on a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The device is offered the release or, for a removal, told to remove it.
    Offered,
    /// The release was chosen, but the device already has it or a newer one.
    UpToDate,
    /// The release passes every gate, but another one was chosen.
    PassedOver,
    /// A gate excludes the release.
    Excluded,
}

impl Verdict {
    pub const ALL: [Self; 4] = [Self::Offered, Self::UpToDate, Self::PassedOver, Self::Excluded];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::UpToDate => "up_to_date",
            Self::PassedOver => "passed_over",
            Self::Excluded => "excluded",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedResource {
    pub identifier: String,
    /// Installed version; 0 = not installed.
    pub installed: VersionCode,
    /// Version that is offered, or to be removed.
    pub offer: Option<VersionCode>,
    /// Highest version first.
    pub releases: Vec<ExplainedRelease>,
    /// Number of releases that were omitted because the explanation reached its size limit.
    pub left_out: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRelease {
    pub release_id: ReleaseId,
    pub version_code: VersionCode,
    pub verdict: Verdict,
    pub rule: Rule,
    /// Explanation of the rule, with the values of this device and this release.
    pub detail: String,
}

/// Decides like [`super::decide`], and returns the reason for every release of every resource, in English.
pub fn explain(app: &PublishedApp, check: &Check<'_>, context: &CheckContext) -> Vec<ExplainedResource> {
    explain_selected(app, check, context, Language::English, |_| true)
}

/// Explains the resources with the requested identifiers; see [`explain`].
pub fn explain_selected(
    app: &PublishedApp,
    check: &Check<'_>,
    context: &CheckContext,
    language: Language,
    is_asked_for: impl Fn(&str) -> bool,
) -> Vec<ExplainedResource> {
    let mut room = MAX_EXPLAINED_BYTES;
    let mut explained = Vec::new();
    for part in app.parts.iter() {
        let asked = part.resources.iter();
        let asked = asked.filter(|resource| is_asked_for(part.identifier_of(resource)));
        let explain = |resource| explain_resource(part, resource, check, context, language, &mut room);
        explained.extend(asked.map(explain));
    }
    explained
}

/// Approximate size limit of an explanation, in bytes of the answer.
const MAX_EXPLAINED_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a release besides its detail: id, version, verdict and rule, with their names.
const BYTES_BESIDE_DETAIL: usize = 160;

/// Explains one resource. `room` is the number of bytes that earlier resources left. The installed version and the
/// offer are always included.
fn explain_resource(
    app: &AppPart,
    resource: &PublishedResource,
    check: &Check<'_>,
    context: &CheckContext,
    language: Language,
    room: &mut usize,
) -> ExplainedResource {
    let decision = decide_resource(app, resource, check, context);
    let all = app.releases_of(resource);
    let mut releases = Vec::new();
    for release in all {
        let (verdict, rule) = verdict_of(app, release, &decision, check, context);
        let subject = Subject {
            candidate: candidate(app, release),
            decision: &decision,
            check,
            context,
        };
        let detail = subject.detail(rule, language);
        let taken = detail.len() + BYTES_BESIDE_DETAIL;
        if taken > *room {
            *room = 0;
            break;
        }
        *room -= taken;
        releases.push(ExplainedRelease {
            release_id: release.id,
            version_code: release.version_code,
            verdict,
            rule,
            detail,
        });
    }
    ExplainedResource {
        identifier: app.identifier_of(resource).to_owned(),
        installed: decision.installed,
        offer: decision.outcome.release().map(|release| release.version_code),
        left_out: all.len() - releases.len(),
        releases,
    }
}

fn verdict_of(
    app: &AppPart,
    release: &CompiledRelease,
    decision: &Decision<'_>,
    check: &Check<'_>,
    context: &CheckContext,
) -> (Verdict, Rule) {
    let is = |other: Option<&CompiledRelease>| other.is_some_and(|other| other.id == release.id);
    if let Some(rule) = decision.switched_off {
        return (Verdict::Excluded, rule);
    }
    if is(decision.outcome.release()) {
        return (Verdict::Offered, offered_by(decision.outcome));
    }
    if let Err(rule) = gates(app, release, check, context, decision.pin) {
        return (Verdict::Excluded, rule);
    }
    if is(decision.choice) {
        let rule = if release.version_code == decision.installed {
            Rule::Installed
        } else {
            Rule::InstalledIsNewer
        };
        return (Verdict::UpToDate, rule);
    }
    let above_the_floor = decision
        .choice
        .is_some_and(|choice| choice.version_code < release.version_code);
    if above_the_floor {
        (Verdict::PassedOver, Rule::Floor)
    } else {
        (Verdict::PassedOver, Rule::NewerPasses)
    }
}

fn offered_by(outcome: Outcome<'_>) -> Rule {
    match outcome {
        Outcome::Repair(_) => Rule::Repair,
        Outcome::Rollback(_) => Rule::Rollback,
        Outcome::Removal(_) => Rule::Removal,
        Outcome::Update(_) | Outcome::Nothing => Rule::Newer,
    }
}
