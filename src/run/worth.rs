//! What a target can be asked, and what one account, template or feature more or less would change.

use std::collections::BTreeSet;

use crate::contract::Suite;
use crate::contract::case::needs::{self, Need};
use crate::target::token::Token;
use crate::target::{Identity, Target};

/// How much of a suite a target can be asked.
#[derive(Clone, Debug)]
pub struct Worth {
    /// All variants.
    pub all: usize,
    /// Those that can be judged.
    pub judged: usize,
    /// What more of something would add, the most first; what adds nothing is left out.
    pub more: Vec<Change>,
    /// What less of something would take away, the most first.
    pub less: Vec<Change>,
}

/// One thing more, or less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub what: String,
    /// The variants that can be judged then.
    pub judged: usize,
}

/// A variant, and what it needs.
struct Entry {
    case: usize,
    variant: usize,
    needs: BTreeSet<Need>,
    is_judged: bool,
}

/// Works it out; nobody is asked.
pub fn of(suite: &Suite, target: &Target) -> Worth {
    let world = suite.world();
    let mut entries = Vec::new();
    for (place, case) in suite.cases().iter().enumerate() {
        let scripts = case.scripts();
        for (variant, (of, script)) in scripts.with(case).enumerate() {
            let needs = needs::of(world, case, of, script);
            let is_judged = target.fit_needs(world, &needs, of.version, script).is_ok();
            entries.push(Entry {
                case: place,
                variant,
                needs,
                is_judged,
            });
        }
    }
    let judged = entries.iter().filter(|entry| entry.is_judged).count();
    let count = |changed: &Target, was_judged: bool| {
        let open = entries.iter().filter(|entry| entry.is_judged == was_judged);
        let fits = |entry: &&Entry| {
            // What a target has of its own, it has no use for a stand-in for.
            if was_judged && entry.needs.iter().all(|need| changed.has(need)) {
                return true;
            }
            let Some(case) = suite.cases().get(entry.case) else {
                return false;
            };
            let Some(variant) = case.variants.get(entry.variant) else {
                return false;
            };
            let scripts = case.scripts();
            let Some(script) = scripts.of(variant) else {
                return false;
            };
            let fit = changed.fit_needs(world, &entry.needs, variant.version, script);
            fit.is_ok()
        };
        open.filter(fits).count()
    };
    let mut more = Vec::new();
    for (name, known) in world
        .identities
        .iter()
        .filter(|(name, _)| !target.identities.contains_key(*name))
    {
        let mut changed = target.clone();
        let identity = Identity {
            xuid: known.xuid.clone(),
            gamertag: known.gamertag.clone(),
            title: known.title.clone(),
            device: known.device.clone(),
            token: Token::fixed(""),
        };
        changed.identities.insert(name.clone(), identity);
        changed.lacks.retain(|feature| !known.features.contains(feature));
        more.push((format!("identity `{name}`"), changed));
    }
    for name in world
        .templates
        .keys()
        .filter(|name| !target.templates.contains_key(*name))
    {
        let mut changed = target.clone();
        changed.templates.insert(name.clone(), name.clone());
        more.push((format!("template `{name}`"), changed));
    }
    for name in &target.lacks {
        let mut changed = target.clone();
        changed.lacks.remove(name);
        more.push((format!("feature `{name}`"), changed));
    }
    let mut less = Vec::new();
    for name in target.identities.keys() {
        let mut changed = target.clone();
        changed.identities.remove(name);
        less.push((format!("identity `{name}`"), changed));
    }
    for name in target.templates.keys() {
        let mut changed = target.clone();
        changed.templates.remove(name);
        less.push((format!("template `{name}`"), changed));
    }
    let mut more: Vec<Change> = more
        .into_iter()
        .map(|(what, changed)| Change {
            what,
            judged: judged + count(&changed, false),
        })
        .filter(|change| change.judged > judged)
        .collect();
    let mut less: Vec<Change> = less
        .into_iter()
        .map(|(what, changed)| Change {
            what,
            judged: count(&changed, true),
        })
        .collect();
    more.sort_by_key(|change| std::cmp::Reverse(change.judged));
    less.sort_by_key(|change| change.judged);
    Worth {
        all: entries.len(),
        judged,
        more,
        less,
    }
}
