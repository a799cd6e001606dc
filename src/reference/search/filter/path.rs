//! Reading the paths of a filter: the documentation's table.

use super::super::super::rules::Rules;
use super::super::attributes::compared;
use super::cursor::Cursor;
use super::error::FilterError;
use super::field::{Field, Measure};
use super::lexer::Token;

const ATTRIBUTE: &str =
    "an attribute: tags, strings/{name}, numbers/{name}, achievementIds, language or session/{property}";

const PROPERTY: &str = "a property of the session: memberXuids, ownerXuids, keywords, scid, templateName, titleId, scheduledTime, \
                        postedTime, registrationState, membersCount, maxMembersCount, maxMembersCountRemaining, \
                        targetMembersCount, targetMembersCountRemaining, needs or roles/{type}/{role}/{measure}";

/// Reads the path that starts with `first`, a word at `start`. `None` if no path starts like this.
pub(in super::super) fn field(
    cursor: &mut Cursor<'_>,
    first: &str,
    start: usize,
    rules: &Rules,
) -> Result<Option<Field>, FilterError> {
    Ok(Some(match first.to_ascii_lowercase().as_str() {
        "tags" => Field::Tags,
        "achievementids" => Field::AchievementIds,
        "language" => Field::Language,
        "strings" | "string" => Field::String(compared(&name(cursor, "the name of a string")?, rules)),
        "numbers" | "number" => Field::Number(compared(&name(cursor, "the name of a number")?, rules)),
        "memberxuids" => Field::MemberXuids,
        "ownerxuids" => Field::OwnerXuids,
        "session" => property(cursor, rules)?,
        _ if cursor.token() == Token::Open => {
            let expected = "`tolower`, the only function"; // SRCH-FLT-002
            return Err(cursor.error_at(start, format!("the function `{first}`"), expected));
        }
        _ => return Ok(None),
    }))
}

/// As [`field`], but some path must start like this.
pub(super) fn known(cursor: &mut Cursor<'_>, first: &str, start: usize, rules: &Rules) -> Result<Field, FilterError> {
    let field = field(cursor, first, start, rules)?;
    field.ok_or_else(|| cursor.error_at(start, Token::Word(first).shown(), ATTRIBUTE))
}

pub(super) fn attribute_expected(cursor: &Cursor<'_>) -> FilterError {
    cursor.unexpected(ATTRIBUTE)
}

fn property(cursor: &mut Cursor<'_>, rules: &Rules) -> Result<Field, FilterError> {
    cursor.expect(Token::Slash, "`/` and a property of the session")?;
    let (word, start) = cursor.word(PROPERTY)?;
    Ok(match word.to_ascii_lowercase().as_str() {
        "memberxuids" => Field::MemberXuids,
        "ownerxuids" => Field::OwnerXuids,
        "keywords" => Field::Keywords,
        "scid" => Field::Scid,
        "templatename" => Field::TemplateName,
        "titleid" if rules.titles_are_asked_for.kept() => Field::TitleId,
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
            let role_type = name(cursor, "the name of a role type")?;
            let role = name(cursor, "the name of a role")?;
            let measures = "`count`, `target` or `needs`";
            cursor.expect(
                Token::Slash,
                "`/` and the measure of the role: `count`, `target` or `needs`",
            )?;
            let (word, start) = cursor.word(measures)?;
            let measure = match word.to_ascii_lowercase().as_str() {
                "count" => Measure::Count,
                "target" => Measure::Target,
                "needs" => Measure::Needs,
                _ => return Err(cursor.error_at(start, Token::Word(word).shown(), measures)),
            };
            Field::Role {
                role_type,
                role,
                measure,
            }
        }
        _ => return Err(cursor.error_at(start, Token::Word(word).shown(), PROPERTY)),
    })
}

fn name(cursor: &mut Cursor<'_>, what: &str) -> Result<String, FilterError> {
    cursor.expect(Token::Slash, &format!("`/` and {what}"))?;
    cursor.word(what).map(|(word, _)| word.to_owned())
}

/// The field, read from the word `first` at `start`, unless it is a collection.
pub(in super::super) fn single(
    field: Field,
    cursor: &Cursor<'_>,
    first: &str,
    start: usize,
) -> Result<Field, FilterError> {
    if field.is_collection() {
        let found = format!("the collection at `{first}`");
        return Err(cursor.error_at(start, found, "an attribute that has one value"));
    }
    Ok(field)
}
