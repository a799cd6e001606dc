//! The search handles, and the queries over them.

mod page;
mod plan;
mod shelf;

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use self::page::Page;
use self::shelf::{Shelf, Slot};
use super::super::rules::AnyNotEqual;
use super::super::session_ref::SessionKey;
use super::facts::{SessionFacts, Sessions};
use super::filter::{Branch, Filter, Subject};
use super::handle::SearchHandle;
use super::order::{Order, SortKey};

/// The most results of a query (SRCH-QRY-002).
pub const MOST_RESULTS: usize = 100;
/// How many handles are taken from the index at once, at first and at most.
const FIRST_PAGE: usize = 128;
const LARGEST_PAGE: usize = 4096;

/// All search handles, at most one a session (SRCH-HDL-005), indexed by what filters ask for.
///
/// It locks itself, and never while it asks for sessions.
#[derive(Debug, Default)]
pub struct SearchIndex(RwLock<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    by_place: HashMap<Place, Shelf>,
    by_id: HashMap<Uuid, (Place, Slot)>,
    by_session: HashMap<SessionKey, Uuid>,
    serial: u64,
}

/// A service config and one of its templates, whatever the case of letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    scid: Arc<str>,
    template_name: Arc<str>,
}

/// What a query for search handles asks.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    /// The service configs and templates whose handles are found (SRCH-QRY-008).
    pub places: &'q [(&'q str, &'q str)],
    /// Which handles; without a filter all.
    pub filter: Option<&'q Filter>,
    /// In which order; without one in the order they were made (SRCH-QRY-004).
    pub order: Option<&'q Order>,
    /// The only sessions to be found, if they are known beforehand (SRCH-QRY-006).
    pub among: Option<&'q [SessionKey]>,
    /// How `any(... ne ...)` is read.
    pub any_not_equal: AnyNotEqual,
}

/// A handle that a query has found.
struct Hit {
    key: Option<SortKey>,
    slot: Slot,
    handle: Arc<SearchHandle>,
}

impl SearchIndex {
    /// Adds a handle. Gives back the one that it replaces: that of the same session, or of the same id.
    pub fn insert(&self, handle: &Arc<SearchHandle>) -> Option<Arc<SearchHandle>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(handle)
    }

    /// Removes a handle, if it is there.
    pub fn remove(&self, id: Uuid) -> Option<Arc<SearchHandle>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// The handle `id`.
    pub fn get(&self, id: Uuid) -> Option<Arc<SearchHandle>> {
        let shelves = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (place, slot) = shelves.by_id.get(&id)?;
        shelves.by_place.get(place)?.get(*slot)
    }

    /// The handle of a session.
    pub fn of_session(&self, session: &SessionKey) -> Option<Arc<SearchHandle>> {
        let id = *self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_session
            .get(session)?;
        self.get(id)
    }

    /// The first [`MOST_RESULTS`] handles that the query asks for, in its order. `sessions` is asked for every result, and
    /// for handles that may be one; no lock is held meanwhile, so it may be asked for handles that are removed by then.
    pub fn query(&self, query: &Query<'_>, sessions: &impl Sessions) -> Vec<Arc<SearchHandle>> {
        let everything = [Branch::default()];
        let branches = query.filter.map_or(everything.as_slice(), Filter::branches);
        let places: Vec<Place> = query.places.iter().map(|(scid, name)| Place::new(scid, name)).collect();
        let parts = places
            .iter()
            .flat_map(|place| branches.iter().map(move |branch| (place, branch)));
        let mut hits: Vec<Hit> = parts
            .flat_map(|(place, branch)| match query.order {
                None => self.oldest(query, place, branch, sessions),
                Some(order) => self.sorted(query, place, branch, order, sessions),
            })
            .collect();
        // The first results of a union are among the first results of its parts.
        if branches.len() * places.len() > 1 {
            sort(&mut hits, query.order);
        }
        // Not only a union may find a session twice: its handle may be replaced between two pages (SRCH-HDL-005).
        let mut seen = HashSet::new();
        hits.retain(|hit| seen.insert(hit.handle.key().clone()));
        hits.truncate(MOST_RESULTS);
        hits.into_iter().map(|hit| hit.handle).collect()
    }

    /// The first handles that meet a branch, in the order they were made.
    fn oldest(&self, query: &Query<'_>, place: &Place, branch: &Branch, sessions: &impl Sessions) -> Vec<Hit> {
        let listed = query.listed(branch, sessions);
        let mut hits = Vec::new();
        let mut after = None;
        let mut size = FIRST_PAGE;
        loop {
            let page = self.page(query, place, branch, listed.as_deref(), after, size);
            for (slot, handle) in page.handles {
                if query.is_met(branch, &handle, sessions) {
                    hits.push(Hit {
                        key: None,
                        slot,
                        handle,
                    });
                    if hits.len() == MOST_RESULTS {
                        return hits;
                    }
                }
            }
            if page.next.is_none() {
                return hits;
            }
            after = page.next;
            size = (size * 2).min(LARGEST_PAGE);
        }
    }

    /// The first handles that meet a branch, in an order of their own.
    fn sorted(
        &self,
        query: &Query<'_>,
        place: &Place,
        branch: &Branch,
        order: &Order,
        sessions: &impl Sessions,
    ) -> Vec<Hit> {
        let listed = query.listed(branch, sessions);
        let page = self.page(query, place, branch, listed.as_deref(), None, usize::MAX);
        let handles = page.handles.into_iter();
        let hit = |slot, handle: Arc<SearchHandle>, session: Option<&dyn SessionFacts>| {
            let key = order.key(query.subject(&handle, session));
            Hit { key, slot, handle }
        };
        if order.is_by_session() {
            let found = handles.filter_map(|(slot, handle)| {
                let facts = sessions.facts(&handle)?;
                let is_met = query.subject(&handle, Some(&facts)).meets(&branch.of_session);
                is_met.then(|| hit(slot, handle, Some(&facts)))
            });
            let mut hits: Vec<Hit> = found.collect();
            sort(&mut hits, Some(order));
            hits.truncate(MOST_RESULTS);
            return hits;
        }
        let mut hits: Vec<Hit> = handles.map(|(slot, handle)| hit(slot, handle, None)).collect();
        sort(&mut hits, Some(order));
        let found = hits
            .into_iter()
            .filter(|hit| query.is_met(branch, &hit.handle, sessions));
        found.take(MOST_RESULTS).collect()
    }

    /// Handles that meet what the branch asks of handles; all of them if the sessions are listed.
    fn page(
        &self,
        query: &Query<'_>,
        place: &Place,
        branch: &Branch,
        listed: Option<&[SessionKey]>,
        after: Option<Slot>,
        size: usize,
    ) -> Page {
        let shelves = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = listed {
            return shelves.of_sessions(query, place, branch, sessions);
        }
        shelves.by_place.get(place).map_or_else(Page::default, |shelf| {
            shelf.page(branch, query.any_not_equal, query.order.is_none(), after, size)
        })
    }
}

impl Shelves {
    fn insert(&mut self, handle: &Arc<SearchHandle>) -> Option<Arc<SearchHandle>> {
        let same_id = self.remove(handle.id());
        let same_session = self.by_session.get(handle.key()).copied();
        let replaced = same_session.and_then(|id| self.remove(id)).or(same_id);
        self.serial += 1;
        let slot = Slot {
            created: handle.created(),
            serial: self.serial,
        };
        let place = Place::new(&handle.session().scid, &handle.session().template_name);
        self.by_session.insert(handle.key().clone(), handle.id());
        self.by_id.insert(handle.id(), (place.clone(), slot));
        self.by_place.entry(place).or_default().insert(slot, handle);
        replaced
    }

    fn of_sessions(&self, query: &Query<'_>, wanted: &Place, branch: &Branch, sessions: &[SessionKey]) -> Page {
        let slots = sessions
            .iter()
            .filter_map(|key| self.by_id.get(self.by_session.get(key)?));
        let mut slots: Vec<Slot> = slots
            .filter(|(place, _)| place == wanted)
            .map(|(_, slot)| *slot)
            .collect();
        slots.sort_unstable();
        slots.dedup();
        let found = self.by_place.get(wanted);
        let handles = slots.into_iter().filter_map(|slot| Some((slot, found?.get(slot)?)));
        let handles = handles.filter(|(_, handle)| query.subject(handle, None).meets(&branch.of_handle));
        Page {
            handles: handles.collect(),
            next: None,
        }
    }

    fn remove(&mut self, id: Uuid) -> Option<Arc<SearchHandle>> {
        let (place, slot) = self.by_id.remove(&id)?;
        let Entry::Occupied(mut entry) = self.by_place.entry(place) else {
            return None;
        };
        let handle = entry.get_mut().remove(slot)?;
        if entry.get().is_empty() {
            entry.remove();
        }
        self.by_session.remove(handle.key());
        Some(handle)
    }
}

impl Query<'_> {
    /// The sessions that can be found, if they can be told.
    fn listed(&self, branch: &Branch, sessions: &impl Sessions) -> Option<Cow<'_, [SessionKey]>> {
        let among = self.among.map(Cow::Borrowed);
        among.or_else(|| Some(Cow::Owned(sessions.of_member(branch.member()?)?)))
    }

    fn subject<'s>(&self, handle: &'s SearchHandle, session: Option<&'s dyn SessionFacts>) -> Subject<'s> {
        Subject {
            handle,
            session,
            any_not_equal: self.any_not_equal,
        }
    }

    /// Whether the session is there and meets the branch. The handle does so already.
    fn is_met(&self, branch: &Branch, handle: &SearchHandle, sessions: &impl Sessions) -> bool {
        let facts = sessions.facts(handle);
        facts.is_some_and(|facts| self.subject(handle, Some(&facts)).meets(&branch.of_session))
    }
}

impl Place {
    fn new(scid: &str, template_name: &str) -> Self {
        Self {
            scid: scid.to_lowercase().into(),
            template_name: template_name.to_lowercase().into(),
        }
    }
}

fn sort(hits: &mut [Hit], order: Option<&Order>) {
    hits.sort_unstable_by(|one, other| {
        let by_key = order.map(|order| order.compare(one.key.as_ref(), other.key.as_ref()));
        by_key.map_or_else(
            || one.slot.cmp(&other.slot),
            |by_key| by_key.then(one.slot.cmp(&other.slot)),
        )
    });
}
