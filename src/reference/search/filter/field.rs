//! What a filter can ask about, and the values it compares with.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

use super::lexer::Token;

/// A path of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Field {
    Tags,
    AchievementIds,
    Language,
    String(String),
    Number(String),
    Scid,
    TemplateName,
    TitleId,
    PostedTime,
    ScheduledTime,
    RegistrationState,
    MembersCount,
    MaxMembersCount,
    TargetMembersCount,
    MaxMembersCountRemaining,
    TargetMembersCountRemaining,
    Needs,
    Role {
        role_type: String,
        role: String,
        measure: Measure,
    },
    MemberXuids,
    OwnerXuids,
    Keywords,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Measure {
    Count,
    Target,
    Needs,
}

/// What kind of value a field has; a collection, what kind its elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Time,
    Xuid,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Literal {
    Text(String),
    Number(f64),
    Time(Timestamp),
    /// `None` for a text that is no xuid, and so equals none.
    Xuid(Option<u64>),
}

impl Field {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Tags
            | Self::AchievementIds
            | Self::Language
            | Self::String(_)
            | Self::Scid
            | Self::TemplateName
            | Self::RegistrationState
            | Self::Keywords => Kind::Text,
            Self::PostedTime | Self::ScheduledTime => Kind::Time,
            Self::MemberXuids | Self::OwnerXuids => Kind::Xuid,
            Self::Number(_)
            | Self::TitleId
            | Self::MembersCount
            | Self::MaxMembersCount
            | Self::TargetMembersCount
            | Self::MaxMembersCountRemaining
            | Self::TargetMembersCountRemaining
            | Self::Needs
            | Self::Role { .. } => Kind::Number,
        }
    }

    pub(super) fn is_collection(&self) -> bool {
        matches!(
            self,
            Self::Tags | Self::AchievementIds | Self::Keywords | Self::MemberXuids | Self::OwnerXuids
        )
    }

    /// Whether the session must be looked at to know it.
    pub(in super::super) fn is_of_session(&self) -> bool {
        match self {
            Self::Tags
            | Self::AchievementIds
            | Self::Language
            | Self::String(_)
            | Self::Number(_)
            | Self::Scid
            | Self::TemplateName
            | Self::PostedTime => false,
            Self::ScheduledTime
            | Self::TitleId
            | Self::RegistrationState
            | Self::MembersCount
            | Self::MaxMembersCount
            | Self::TargetMembersCount
            | Self::MaxMembersCountRemaining
            | Self::TargetMembersCountRemaining
            | Self::Needs
            | Self::Role { .. }
            | Self::MemberXuids
            | Self::OwnerXuids
            | Self::Keywords => true,
        }
    }

    /// Whether its values are kept in lower case already: the service treats tags and strings so, whether or not the
    /// filter says `tolower` (SRCH-FLT-011, SRCH-FLT-029).
    pub(super) fn is_kept_lowered(&self) -> bool {
        matches!(self, Self::Tags | Self::String(_))
    }

    /// Whether the case of its letters carries no meaning (LIVE-025).
    pub(super) fn is_address(&self) -> bool {
        matches!(self, Self::Scid | Self::TemplateName)
    }
}

impl Kind {
    /// The value that a token stands for.
    pub(super) fn literal(self, token: Token<'_>) -> Option<Literal> {
        match (self, token) {
            (Self::Text, Token::Text(text)) => Some(Literal::Text(unquoted(text))),
            (Self::Xuid, Token::Text(text)) => Some(Literal::Xuid(text.parse().ok())),
            (Self::Time, Token::Text(text)) => time(text).map(Literal::Time),
            (Self::Number, Token::Word(word)) => number(word).map(Literal::Number),
            _ => None,
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Text => "a string in single quotes",
            Self::Xuid => "a xuid in single quotes",
            Self::Time => "a time in single quotes, as in '2009-06-15T13:45:30Z'",
            Self::Number => "a number",
        }
    }
}

pub(super) fn unquoted(text: &str) -> String {
    text.replace("''", "'")
}

fn number(word: &str) -> Option<f64> {
    // Rust reads names of non-numbers as well.
    let plain = word
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    let framed = word.ends_with(|c: char| c.is_ascii_digit())
        && word
            .trim_start_matches(['+', '-'])
            .starts_with(|c: char| c.is_ascii_digit());
    // Adding zero makes the negative zero positive: they are equal, and so they must sort.
    let number = if plain && framed {
        word.parse::<f64>().ok()? + 0.0
    } else {
        return None;
    };
    number.is_finite().then_some(number)
}

/// A time with an offset. Those beyond what a [`Timestamp`] holds, such as the last moment of the year 9999 that clients
/// write for "never", become the last or the first one.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let pieces = Pieces::parse(text).ok()?;
    pieces.time()?;
    pieces.offset()?;
    match pieces.date().year() {
        9999 => Some(Timestamp::MAX),
        -9999 => Some(Timestamp::MIN),
        _ => None,
    }
}
