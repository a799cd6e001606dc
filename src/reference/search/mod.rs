//! Session browse: search attributes, the filter language, and the index that queries run on.
//!
//! Nothing here speaks HTTP or knows what a session looks like inside: what a filter asks of a session comes from the
//! caller, through [`Sessions`], at the time of the query. Who may search, and what a result shows, is not decided here.

mod attributes;
mod facts;
mod filter;
mod handle;
mod index;
mod order;
#[cfg(test)]
mod tests;

pub use self::attributes::{AttributeError, SearchAttributes};
pub use self::facts::{RoleFacts, SessionFacts, Sessions};
pub use self::filter::{Filter, FilterError};
pub use self::handle::SearchHandle;
pub use self::index::{MOST_RESULTS, Query, SearchIndex};
pub use self::order::Order;
