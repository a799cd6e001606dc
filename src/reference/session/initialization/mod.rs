//! Initialization of members: episodes, the stages of an episode, and what becomes of its members.
//!
//! [`TRANSITIONS`] is the whole machine. It runs at every access, after what was written or what timers did to members,
//! and as far as nothing is waited for. A stage whose time is over is left at the next access only (TMO-003): one stage an
//! access, and the time of the stage that follows begins then, as for members (TMO-004, INIT-049).

mod episode;
mod evaluation;
#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "tests hand over bodies as they write them")]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use self::episode::{change_members, passing};
use super::model::{Initialization, InitializationFailure, Member, MemberInitialization, Session, Stage, Status};
use super::refusal::{Refusal, RefusalKind};
use crate::rules::{FailedEpisode, Joined, Rules};

/// What must hold for a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// Members wait for an episode.
    Awaited,
    /// Everybody who is awaited has joined, or joinTimeout is over (INIT-011).
    EverybodyJoined,
    /// Everybody who is awaited has uploaded measurements, or measurementTimeout is over (INIT-013).
    EverybodyMeasured,
    /// There are metrics or servers to measure (INIT-009).
    Measured,
    /// The title evaluates, not the service (INIT-010).
    External,
    /// No member of the episode is left who could pass.
    Deserted,
    /// The title wrote that initialization succeeded.
    Succeeded,
    /// The title wrote that it did not, or evaluationTimeout is over (INIT-014).
    Rejected,
    /// The episode is the first.
    First,
    /// Fewer passed than `membersNeededToStart`, which counts in the first episode only (INIT-025).
    TooFew,
}

/// What a transition does to the members of the episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    None,
    /// Members fail whose group has a member that failed or did not join (INIT-021, INIT-023).
    FailGroups,
    /// Members fail by what they measured, or did not; hosts are proposed (INIT-020, INIT-037).
    Judge,
    /// Members fail who have not failed yet (INIT-018, INIT-027).
    FailAll,
}

/// A row of [`TRANSITIONS`].
#[derive(Debug)]
struct Transition {
    from: Stage,
    /// All of them must hold.
    when: &'static [Condition],
    effect: Effect,
    to: Stage,
}

const fn on(from: Stage, when: &'static [Condition], effect: Effect, to: Stage) -> Transition {
    Transition { from, when, effect, to }
}

/// The states of initialization and the ways between them; of the rows that fit, the first one is taken.
///
/// Entering `Joining` begins an episode. Entering `Idle` or `Failed` ends it (INIT-005).
#[rustfmt::skip]
const TRANSITIONS: &[Transition] = {
    use Condition::{Awaited, Deserted, EverybodyJoined, EverybodyMeasured, External, First, Measured, Rejected, Succeeded, TooFew};

    use Effect::{FailAll, FailGroups, Judge};
    use Stage::{Counting, Evaluating, Failed, Idle, Joining, Measuring};
    &[
        // INIT-003, INIT-004: an episode begins when the one before is over, and somebody waits for it.
        on(Idle,       &[Awaited],                     Effect::None, Joining),
        // INIT-007, INIT-011, INIT-012: joining is over when all are here, or when those who are not are gone.
        on(Joining,    &[EverybodyJoined, Measured],   FailGroups,   Measuring),
        // INIT-009: measuring is skipped where there is nothing to measure.
        on(Joining,    &[EverybodyJoined, External],   FailGroups,   Evaluating),
        // INIT-010: evaluating is skipped unless the title evaluates.
        on(Joining,    &[EverybodyJoined],             FailGroups,   Counting),
        // INIT-007, INIT-013, INIT-020: measuring is over when all have measured, or when the others have failed.
        on(Measuring,  &[EverybodyMeasured, External], Judge,        Evaluating),
        on(Measuring,  &[EverybodyMeasured],           Judge,        Counting),
        // There is nobody left to be evaluated.
        on(Evaluating, &[Deserted],                    Effect::None, Counting),
        // INIT-014, INIT-017: the title says how it went, at once.
        on(Evaluating, &[Succeeded],                   Effect::None, Counting),
        // INIT-008, INIT-018: what failed first has failed for ever; later failures are their members' own.
        on(Evaluating, &[Rejected, First],             FailAll,      Failed),
        on(Evaluating, &[Rejected],                    FailAll,      Idle),
        // INIT-025, INIT-027: the first episode needs enough members who passed.
        on(Counting,   &[TooFew],                      FailAll,      Failed),
        on(Counting,   &[],                            Effect::None, Idle),
    ]
};

impl Initialization {
    /// Before the first episode.
    pub(super) fn new(now: Timestamp, rules: &Rules) -> Self {
        Self {
            stage: Stage::Idle,
            stage_start: now,
            episode: u32::from(!rules.creation_is_episode_one.kept()),
            host_candidates: Arc::default(),
        }
    }
}

/// What came to pass since initialization was looked at last, besides what the members show.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// The time of the stage is over.
    pub(super) is_due: bool,
    /// What was written as `initializationSucceeded`.
    pub(super) verdict: Option<bool>,
}

/// Refuses a creation with too few members to initialize (INIT-026).
pub(super) fn check_creation(session: &Session, rules: &Rules) -> Result<(), Refusal> {
    let Some(initialization) = &session.constants.member_initialization else {
        return Ok(());
    };
    let needed = initialization.members_needed_to_start;
    let brought: u64 = session
        .members
        .iter()
        .map(|member| u64::from(member.constants.initialize))
        .sum();
    if brought >= needed || !rules.initialization_needs_members.kept() {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::Malformed,
        format!("/members: initialization needs at least {needed} members with initialize true, found {brought}"),
    ))
}

/// Tells the members of a creation their episode, the first one, which is skipped if there are none (INIT-028).
pub(super) fn begin(session: &mut Session, now: Timestamp, rules: &Rules) {
    if session.constants.member_initialization.is_none() {
        return;
    }
    enrol(session, 0, rules);
    advance(session, News::default(), now, rules);
    let skipped = Initialization::new(now, rules).episode + 1;
    session.initialization.episode = session.initialization.episode.max(skipped);
}

/// Tells the members that came since `next` was the next index their episode, and goes on as far as nothing is awaited.
pub(super) fn settle(session: &mut Session, next: u32, news: News, now: Timestamp, rules: &Rules) {
    enrol(session, next, rules);
    advance(session, news, now, rules);
}

fn enrol(session: &mut Session, next: u32, rules: &Rules) {
    let state = &session.initialization;
    if session.constants.member_initialization.is_none() || state.stage == Stage::Failed {
        return;
    }
    let is_running = state.stage != Stage::Idle;
    let episode = if is_running && !rules.late_members_wait.kept() {
        state.episode
    } else {
        state.episode.saturating_add(1)
    };
    let is_marked = |member: &Member| member.constants.initialize || !rules.marked_members_initialize.kept();
    change_members(
        session,
        |member| member.index >= next && is_marked(member),
        |member| member.episode = Some(episode),
    );
}

fn advance(session: &mut Session, mut news: News, now: Timestamp, rules: &Rules) {
    let constants = Arc::clone(&session.constants);
    let Some(initialization) = &constants.member_initialization else {
        return;
    };
    drop_host_candidates(session, rules);
    while let Some(row) = TRANSITIONS.iter().find(|row| {
        let situation = Situation {
            session,
            initialization,
            news,
            rules,
        };
        row.from == session.initialization.stage && row.when.iter().all(|condition| situation.holds(*condition))
    }) {
        match row.effect {
            Effect::None => {}
            Effect::FailGroups => evaluation::fail_groups(session, rules),
            Effect::Judge => evaluation::judge(session, initialization, rules),
            Effect::FailAll => fail_all(session, rules),
        }
        enter(session, row.to, now, rules);
        // Time that is over, and a verdict, are for the stage in which they came.
        news = News::default();
    }
}

fn enter(session: &mut Session, stage: Stage, now: Timestamp, rules: &Rules) {
    let mut stage = stage;
    if stage == Stage::Failed && !rules.first_failure_is_final.kept() {
        stage = Stage::Idle;
    }
    let initialization = &mut session.initialization;
    initialization.stage = stage;
    if rules.stage_time_is_new.kept() || stage == Stage::Joining {
        initialization.stage_start = now;
    }
    match stage {
        Stage::Joining => initialization.episode = initialization.episode.saturating_add(1),
        Stage::Idle | Stage::Failed => {
            let (ended, is_final) = (initialization.episode, stage == Stage::Failed);
            change_members(
                session,
                |member| member.episode == Some(ended) || (is_final && member.episode.is_some()),
                |member| {
                    if rules.episode_ends_for_members.kept() {
                        member.episode = None;
                    }
                    // The session's own timeout governs it from now on.
                    if matches!(member.status, Status::Reserved | Status::Ready) {
                        member.since = now;
                    }
                },
            );
        }
        Stage::Measuring | Stage::Evaluating | Stage::Counting => {}
    }
}

fn fail_all(session: &mut Session, rules: &Rules) {
    if !rules.rejected_members_fail.kept() {
        return;
    }
    let episode = Some(session.initialization.episode);
    change_members(
        session,
        |member| member.episode == episode && member.failure.is_none(),
        |member| member.failure = Some(InitializationFailure::Episode),
    );
}

/// A host that is set ends the candidacy of all; who left is no candidate (INIT-038).
fn drop_host_candidates(session: &mut Session, rules: &Rules) {
    let candidates = &session.initialization.host_candidates;
    let is_set = session.properties.system.host.is_some() && rules.host_ends_candidacy.kept();
    let is_here = |token: &String| {
        let has_token = |member: &Member| member.device_token() == Some(token.as_str());
        !is_set && session.members.iter().any(has_token)
    };
    if !candidates.iter().all(is_here) {
        session.initialization.host_candidates = candidates.iter().filter(|token| is_here(token)).cloned().collect();
    }
}

/// What conditions are judged by.
struct Situation<'s> {
    session: &'s Session,
    initialization: &'s MemberInitialization,
    news: News,
    rules: &'s Rules,
}

impl Situation<'_> {
    fn holds(&self, condition: Condition) -> bool {
        let (rules, news) = (self.rules, self.news);
        let constants = &self.session.constants;
        let state = &self.session.initialization;
        let is_first = state.episode == 1;
        match condition {
            Condition::Awaited => {
                let next = state.episode.saturating_add(1);
                self.session.members.iter().any(|member| member.episode == Some(next))
            }
            Condition::EverybodyJoined => news.is_due || self.passing().all(|member| has_joined(member, rules)),
            Condition::EverybodyMeasured => {
                news.is_due
                    || self
                        .passing()
                        .all(|member| evaluation::has_measured(self.session, member, rules))
            }
            Condition::Measured => {
                constants.metrics.any() || constants.has_measurement_servers || !rules.measuring_needs_metrics.kept()
            }
            Condition::External => self.initialization.external_evaluation || !rules.evaluating_is_external.kept(),
            Condition::Deserted => self.passing().next().is_none(),
            Condition::Succeeded => news.verdict == Some(true) || (news.is_due && !rules.silence_is_failure.kept()),
            Condition::Rejected => news.verdict == Some(false) || news.is_due,
            Condition::First => is_first || rules.failed_episode == FailedEpisode::Any,
            Condition::TooFew => {
                (is_first || !rules.first_episode_needs_members.kept())
                    && rules.too_few_fail_together.kept()
                    && (self.passing().count() as u64) < self.initialization.members_needed_to_start
            }
        }
    }

    fn passing(&self) -> impl Iterator<Item = &Member> {
        passing(self.session)
    }
}

fn has_joined(member: &Member, rules: &Rules) -> bool {
    match rules.joined {
        Joined::Present => matches!(member.status, Status::Active | Status::Ready),
        Joined::Accepted => member.is_accepted(),
    }
}

impl Session {
    /// When the time of the running stage is over (INIT-047).
    pub(super) fn stage_due(&self) -> Option<Timestamp> {
        let initialization = self.constants.member_initialization.as_ref()?;
        let state = &self.initialization;
        let timeout = match state.stage {
            Stage::Joining => initialization.join_timeout,
            Stage::Measuring => initialization.measurement_timeout,
            Stage::Evaluating => initialization.evaluation_timeout,
            Stage::Idle | Stage::Counting | Stage::Failed => return None,
        };
        timeout.due(state.stage_start)
    }

    /// Whether the session's timeouts for reserved and ready members spare the member (TMO-015).
    pub(super) fn is_spared(&self, member: &Member) -> bool {
        member.episode.is_some()
            && matches!(member.status, Status::Reserved | Status::Ready)
            && (self.constants.member_initialization.as_ref())
                .is_some_and(|initialization| initialization.overrides_timeouts)
    }

    /// Whether the member is a reservation that joinTimeout removes (INIT-012).
    pub(super) fn is_absent_from_joining(&self, member: &Member) -> bool {
        let state = &self.initialization;
        state.stage == Stage::Joining && member.episode == Some(state.episode) && !member.is_accepted()
    }
}
