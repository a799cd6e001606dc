//! On whose behalf a service calls: the title and the users that it names in headers (AUTH-007 to AUTH-014).

use std::borrow::Cow;

use http::HeaderMap;

use super::super::config::decimal;
use super::super::failure::Failure;
use super::super::principal::{Principal, PrincipalKind, User};
use super::super::provisions::Provisions;
use super::super::rules::{Rules, TitleOfService, UserOnBehalf};

const TITLE: &str = "x-xbl-onbehalfof-title";
const USERS: &str = "x-xbl-onbehalfof-users";
const DENY_SCOPE: &str = "x-xbl-deny-scope";
/// The access of services, which stands above the rights of users.
const MANAGE: &str = "Multiplayer.Manage";

/// For whom a service acts; nobody, if the caller is a user.
#[derive(Debug, Default)]
pub(super) struct Acting {
    title: Option<u32>,
    /// Each once, in the order of the header.
    pub(super) users: Vec<User>,
    /// Whether the rights of these users are to be asked.
    pub(super) denies_manage: bool,
}

impl Acting {
    /// Reads the headers of a call.
    pub(super) fn read(headers: &HeaderMap, caller: &Principal, rules: &Rules) -> Result<Self, Failure> {
        let PrincipalKind::Server { has_runtime_access } = caller.kind else {
            let named = [TITLE, USERS].into_iter().find(|name| headers.contains_key(*name));
            return match named.filter(|_| rules.user_on_behalf == UserOnBehalf::Refused) {
                Some(name) => Err(Failure::Forbidden(format!("The {name} header is for services."))),
                None => Ok(Self::default()),
            };
        };
        let users = users(headers, rules)?;
        let needs_title = match rules.title_of_service {
            TitleOfService::Own => !users.is_empty() && rules.services_name_the_title.kept(),
            TitleOfService::Named => true,
        };
        let acting = Self {
            title: title(headers)?,
            users,
            denies_manage: denies_manage(headers)?,
        };
        if needs_title && acting.title.is_none() {
            return Err(malformed(TITLE, "is missing; expected the id of the title"));
        }
        // AUTH-014
        if acting.denies_manage && !has_runtime_access {
            return Err(Failure::Forbidden(format!(
                "Without {MANAGE} the service has no access; it does not have Multiplayer.Runtime."
            )));
        }
        if acting.denies_manage && acting.users.is_empty() && rules.denial_needs_a_user.kept() {
            return Err(Failure::Forbidden(format!(
                "Without {MANAGE} the service has access for acting users only, and names none in {USERS}."
            )));
        }
        Ok(acting)
    }

    /// The caller, in the title for which it acts. Naming a title opens no service config that is closed to its own one.
    pub(super) fn caller<'p>(
        &self,
        caller: &'p Principal,
        provisions: &Provisions,
    ) -> Result<Cow<'p, Principal>, Failure> {
        let Some(title_id) = self.title.filter(|title| *title != caller.title_id) else {
            return Ok(Cow::Borrowed(caller));
        };
        let named = Principal {
            title_id,
            ..caller.clone()
        };
        if provisions
            .service_configs(&named)
            .any(|config| provisions.service_config(&config.scid, caller).is_err())
        {
            let message = format!("The service may not act for title {title_id}.");
            return Err(Failure::Forbidden(message));
        }
        Ok(Cow::Owned(named))
    }
}

/// AUTH-007
fn title(headers: &HeaderMap) -> Result<Option<u32>, Failure> {
    let Some(given) = headers.get(TITLE) else {
        return Ok(None);
    };
    let number = given.to_str().ok().and_then(|text| decimal(text.trim()));
    let id = number.and_then(|number| u32::try_from(number).ok());
    id.map(Some)
        .ok_or_else(|| malformed(TITLE, "is not the id of a title, a decimal number"))
}

/// AUTH-008: `xuid[;priv=multiplayer][,...]`, in one header or several.
fn users(headers: &HeaderMap, rules: &Rules) -> Result<Vec<User>, Failure> {
    let mut users: Vec<User> = Vec::new();
    for value in headers.get_all(USERS) {
        let value = value.to_str().map_err(|_| malformed(USERS, "is not printable ASCII"))?;
        for entry in value.split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let xuid = parts
                .next()
                .and_then(decimal)
                .filter(|xuid| *xuid != 0)
                .ok_or_else(|| malformed(USERS, "has an entry that does not begin with a decimal xuid"))?;
            let mut may_play_multiplayer = false;
            for privilege in parts {
                if privilege.eq_ignore_ascii_case("priv=multiplayer") {
                    may_play_multiplayer = true;
                } else if rules.privileges_are_known.kept() {
                    return Err(malformed(USERS, "has an unknown privilege; expected priv=multiplayer"));
                }
            }
            match users.iter_mut().find(|user| user.xuid == xuid) {
                Some(user) => user.may_play_multiplayer |= may_play_multiplayer,
                None => users.push(User {
                    xuid,
                    gamertag: None,
                    device_id: None,
                    may_play_multiplayer,
                    has_title_identity: true,
                }),
            }
        }
    }
    Ok(users)
}

/// AUTH-013: a service loses nothing by denying itself what it does not have.
fn denies_manage(headers: &HeaderMap) -> Result<bool, Failure> {
    let mut denies = false;
    for value in headers.get_all(DENY_SCOPE) {
        let value = value
            .to_str()
            .map_err(|_| malformed(DENY_SCOPE, "is not printable ASCII"))?;
        denies |= value.split(',').any(|scope| scope.trim().eq_ignore_ascii_case(MANAGE));
    }
    Ok(denies)
}

fn malformed(header: &str, what: &str) -> Failure {
    Failure::Malformed(format!("The {header} header {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Principal = Principal {
        name: String::new(),
        title_id: 5,
        kind: PrincipalKind::Server {
            has_runtime_access: true,
        },
    };

    fn read(given: &[(&'static str, &str)], rules: &Rules) -> Result<Acting, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().unwrap());
        }
        Acting::read(&headers, &SERVICE, rules)
    }

    #[test]
    fn users_come_in_their_order_each_once_with_what_is_said_of_them() {
        let given = [
            (TITLE, "5"),
            (USERS, "8;priv=multiplayer, 7"),
            (USERS, "9 ; PRIV=multiplayer,8"),
        ];
        let acting = read(&given, &Rules::default()).unwrap();
        let users: Vec<_> = acting
            .users
            .iter()
            .map(|user| (user.xuid, user.may_play_multiplayer))
            .collect();
        assert_eq!(users, [(8, true), (7, false), (9, true)]);
        assert!(!acting.denies_manage);
    }

    #[test]
    fn malformed_headers_are_refused() {
        for users in ["", "x", "7,", ";priv=multiplayer", "7;priv=admin", "7;", "0", "-7"] {
            let answer = read(&[(TITLE, "5"), (USERS, users)], &Rules::default());
            assert!(matches!(answer, Err(Failure::Malformed(_))), "{users}");
        }
        for title in ["", "0x5", "main", "4294967296"] {
            let answer = read(&[(TITLE, title)], &Rules::default());
            assert!(matches!(answer, Err(Failure::Malformed(_))), "{title}");
        }
    }

    #[test]
    fn a_service_that_acts_for_users_names_the_title() {
        let mut rules = Rules::default();
        assert!(matches!(read(&[(USERS, "7")], &rules), Err(Failure::Malformed(_))));
        read(&[], &rules).unwrap();
        rules.set("AUTH-007", "broken").unwrap();
        read(&[(USERS, "7")], &rules).unwrap();
    }

    #[test]
    fn whoever_denies_itself_its_access_needs_another() {
        let denied = |given| matches!(given, Err(Failure::Forbidden(_)));
        let rules = Rules::default();
        assert!(denied(read(&[(DENY_SCOPE, MANAGE)], &rules)));
        let whole = [(TITLE, "5"), (USERS, "7"), (DENY_SCOPE, "other, multiplayer.manage")];
        assert!(read(&whole, &rules).unwrap().denies_manage);
        assert!(!read(&[(DENY_SCOPE, "other")], &rules).unwrap().denies_manage);
        let poor = Principal {
            kind: PrincipalKind::Server {
                has_runtime_access: false,
            },
            ..SERVICE
        };
        let headers = whole
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        assert!(denied(Acting::read(&headers.collect(), &poor, &rules)));
    }
}
