//! What a filter can ask about: the documentation's table of paths.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

use super::FilterError;
use super::lexer::Token;
use super::parser::Parser;

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

const ATTRIBUTE: &str =
    "an attribute: tags, strings/{name}, numbers/{name}, achievementIds, language or session/{property}";
const PROPERTY: &str = "a property of the session: memberXuids, ownerXuids, keywords, scid, templateName, scheduledTime, \
                        postedTime, registrationState, membersCount, maxMembersCount, maxMembersCountRemaining, \
                        targetMembersCount, targetMembersCountRemaining, needs or roles/{type}/{role}/{measure}";

/// Reads the path that starts with `first`, a word at `start`. `None` if no path starts like this.
pub(in super::super) fn field(
    parser: &mut Parser<'_>,
    first: &str,
    start: usize,
) -> Result<Option<Field>, FilterError> {
    Ok(Some(match first.to_ascii_lowercase().as_str() {
        "tags" => Field::Tags,
        "achievementids" => Field::AchievementIds,
        "language" => Field::Language,
        "strings" | "string" => Field::String(name(parser, "the name of a string")?),
        "numbers" | "number" => Field::Number(name(parser, "the name of a number")?),
        "memberxuids" => Field::MemberXuids,
        "ownerxuids" => Field::OwnerXuids,
        "session" => property(parser)?,
        _ if parser.token() == Token::Open => {
            let expected = "`tolower`, the only function"; // SRCH-FLT-002
            return Err(parser.error_at(start, format!("the function `{first}`"), expected));
        }
        _ => return Ok(None),
    }))
}

/// As [`field`], but some path must start like this.
pub(super) fn known(parser: &mut Parser<'_>, first: &str, start: usize) -> Result<Field, FilterError> {
    let field = field(parser, first, start)?;
    field.ok_or_else(|| parser.error_at(start, Token::Word(first).shown(), ATTRIBUTE))
}

pub(super) fn attribute_expected(parser: &Parser<'_>) -> FilterError {
    parser.unexpected(ATTRIBUTE)
}

fn property(parser: &mut Parser<'_>) -> Result<Field, FilterError> {
    parser.expect(Token::Slash, "`/` and a property of the session")?;
    let (word, start) = parser.word(PROPERTY)?;
    Ok(match word.to_ascii_lowercase().as_str() {
        "memberxuids" => Field::MemberXuids,
        "ownerxuids" => Field::OwnerXuids,
        "keywords" => Field::Keywords,
        "scid" => Field::Scid,
        "templatename" => Field::TemplateName,
        "scheduledtime" => Field::ScheduledTime,
        "postedtime" => Field::PostedTime,
        "registrationstate" => Field::RegistrationState,
        "memberscount" => Field::MembersCount,
        "maxmemberscount" => Field::MaxMembersCount,
        "maxmemberscountremaining" => Field::MaxMembersCountRemaining,
        "targetmemberscount" => Field::TargetMembersCount,
        "targetmemberscountremaining" => Field::TargetMembersCountRemaining,
        "needs" => Field::Needs,
        "roles" => {
            let role_type = name(parser, "the name of a role type")?;
            let role = name(parser, "the name of a role")?;
            let measures = "`count`, `target` or `needs`";
            parser.expect(
                Token::Slash,
                "`/` and the measure of the role: `count`, `target` or `needs`",
            )?;
            let (word, start) = parser.word(measures)?;
            let measure = match word.to_ascii_lowercase().as_str() {
                "count" => Measure::Count,
                "target" => Measure::Target,
                "needs" => Measure::Needs,
                _ => return Err(parser.error_at(start, Token::Word(word).shown(), measures)),
            };
            Field::Role {
                role_type,
                role,
                measure,
            }
        }
        _ => return Err(parser.error_at(start, Token::Word(word).shown(), PROPERTY)),
    })
}

fn name(parser: &mut Parser<'_>, what: &str) -> Result<String, FilterError> {
    parser.expect(Token::Slash, &format!("`/` and {what}"))?;
    parser.word(what).map(|(word, _)| word.to_owned())
}

impl Field {
    /// The field, read from the word `first` at `start`, unless it is a collection.
    pub(in super::super) fn check_single(
        self,
        parser: &Parser<'_>,
        first: &str,
        start: usize,
    ) -> Result<Self, FilterError> {
        if self.is_collection() {
            let found = format!("the collection at `{first}`");
            return Err(parser.error_at(start, found, "an attribute that has one value"));
        }
        Ok(self)
    }

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
            Self::Text => "a text in single quotes",
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
