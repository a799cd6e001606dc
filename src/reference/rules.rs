//! The table of rules: every point on which sources disagree, or on which the service must choose.
//!
//! Each rule has the id of the ledger entry or clause that it decides, and two or more readings; the first one is the
//! reference's own. A decision is taken in one place of the service, which asks the table.

use std::fmt;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The id of the ledger entry or clause.
    pub id: &'static str,
    /// What has to be decided.
    pub question: &'static str,
    /// Name and meaning of each reading; the first one is the default.
    pub readings: &'static [(&'static str, &'static str)],
    /// The name of the reading that the reference follows unless told otherwise.
    pub default: &'static str,
}

/// A rule id or a reading that the table does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRule {
    /// The rule id that was asked for.
    pub id: String,
    /// The readings that the rule has; `None` if there is no such rule.
    pub readings: Option<Vec<&'static str>>,
    /// The reading that was asked for.
    pub reading: String,
}

impl fmt::Display for UnknownRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.readings {
            None => write!(f, "there is no rule `{}`", self.id),
            Some(readings) => write!(
                f,
                "rule `{}` has no reading `{}`, expected one of {}",
                self.id,
                self.reading,
                readings.join(", ")
            ),
        }
    }
}

impl std::error::Error for UnknownRule {}

macro_rules! rules {
    ($(
        $field:ident: $Type:ident = $id:literal, $question:literal {
            $First:ident = $first:literal: $first_meaning:literal,
            $( $Reading:ident = $name:literal: $meaning:literal, )+
        }
    )+) => {
        $(
            #[doc = concat!($id, ": ", $question)]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub enum $Type {
                #[doc = $first_meaning]
                #[default]
                $First,
                $( #[doc = $meaning] $Reading, )+
            }
        )+

        /// The readings in force. The default ones are the reference's own.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Rules {
            $(
                #[doc = concat!($id, ": ", $question)]
                pub $field: $Type,
            )+
        }

        impl Rules {
            /// Puts the reading named `reading` of rule `id` in force.
            pub fn set(&mut self, id: &str, reading: &str) -> Result<(), UnknownRule> {
                match id {
                    $(
                        $id => self.$field = match reading {
                            $first => $Type::$First,
                            $( $name => $Type::$Reading, )+
                            _ => return Err(UnknownRule {
                                id: id.to_owned(),
                                readings: Some(vec![$first, $( $name ),+]),
                                reading: reading.to_owned(),
                            }),
                        },
                    )+
                    _ => return Err(UnknownRule { id: id.to_owned(), readings: None, reading: reading.to_owned() }),
                }
                Ok(())
            }

            /// The name of the reading of rule `id` that is in force; `None` if there is no such rule.
            pub fn reading(&self, id: &str) -> Option<&'static str> {
                match id {
                    $(
                        $id => Some(match self.$field {
                            $Type::$First => $first,
                            $( $Type::$Reading => $name, )+
                        }),
                    )+
                    _ => None,
                }
            }

            /// Every rule, in the order of the documents.
            pub fn table() -> &'static [Rule] {
                const TABLE: &[Rule] = &[
                    $(
                        Rule {
                            id: $id,
                            question: $question,
                            readings: &[($first, $first_meaning), $( ($name, $meaning) ),+],
                            default: $first,
                        },
                    )+
                ];
                TABLE
            }
        }
    };
}

rules! {
    missing_session: MissingSession = "X-02", "What does GET of a missing session answer?" {
        NoContent = "no-content": "204 without a body.",
        NotFound = "not-found": "404 with a text.",
    }
    xuid_number: XuidNumber = "X-03", "May a request give a xuid as a JSON number?" {
        Accepted = "accepted": "Yes; it is shown as the equal decimal string.",
        Refused = "refused": "No, 400.",
    }
    enum_case: EnumCase = "X-05", "Does the case of letters matter in the enumerated values of a request?" {
        Any = "any": "No; the value is shown in the documented spelling.",
        Exact = "exact": "Yes; another case is refused with 400.",
    }
    large_limit: LargeLimit = "X-07", "How many members may a large session have?" {
        TenThousand = "10000": "Up to 10000.",
        OneThousand = "1000": "Up to 1000.",
    }
    needed_to_start: NeededToStart = "X-09", "May membersNeededToStart be 0?" {
        FromZero = "from-zero": "Yes; then episode 1 may have no member.",
        FromOne = "from-one": "No, 400.",
    }
    ready_expiry: ReadyExpiry = "X-10", "What becomes of a member whose readyRemovalTimeout has passed?" {
        Inactive = "inactive": "It becomes inactive, and its inactivity starts then.",
        Removed = "removed": "It is removed.",
    }
    reservation_expiry: ReservationExpiry = "X-11", "What becomes of a reservation whose reservedRemovalTimeout has passed?" {
        Removed = "removed": "It is removed.",
        Inactive = "inactive": "Its user becomes an inactive member.",
    }
    custom_merge: CustomMerge = "X-12", "How deep are custom properties merged?" {
        Deep = "deep": "Objects are merged at every depth; nested values that were not sent are kept (LIVE-024).",
        TopLevel = "top-level": "A top-level key is replaced whole.",
    }
    nested_null: NestedNull = "SES-MERGE-007", "What does null below the top level of custom properties do?" {
        Kept = "kept": "It is a value like any other.",
        Deletes = "deletes": "It deletes its key when it meets a stored object.",
    }
    role_types_in_request: RoleTypesInRequest = "X-19", "May a request carry roleTypes?" {
        Accepted = "accepted": "Yes: at creation, and later to change mutable role settings.",
        Refused = "refused": "No, 400.",
    }
    full_join: FullJoin = "X-21", "How is a join of a full session refused?" {
        Forbidden = "forbidden": "403.",
        Malformed = "bad-request": "400.",
    }
    visible_join: VisibleJoin = "CONTRA-05", "How is a join of a visible session refused?" {
        Forbidden = "forbidden": "403 with the session.",
        Malformed = "bad-request": "400.",
    }
    initialize_text: InitializeText = "X-24", "May a member's initialize be the text \"true\" or \"false\"?" {
        Refused = "refused": "No, 400.",
        Accepted = "accepted": "Yes.",
    }
    invite_protocols: InviteProtocols = "X-26", "Which values may inviteProtocol have?" {
        Listed = "listed": "game, tournamentgame, chat and gameparty.",
        Any = "any": "Any text.",
    }
    late_constant: LateConstant = "X-28", "What if a write gives a constant that creation left unset?" {
        Conflict = "conflict": "409, as for a constant with another value.",
        Ignored = "ignored": "The write succeeds, and the constant stays unset.",
    }
    stranger_without_me: StrangerWithoutMe = "X-29", "What if a user who is no member writes to a session without `me`?" {
        Joins = "joins": "The user is added as a member, if it may join.",
        Refused = "refused": "403.",
    }
    creator_without_me: CreatorWithoutMe = "SES-CREATE-007", "Is a user who creates a session without `me` its member?" {
        Absent = "absent": "No: a creation that adds no member is empty (SES-CREATE-005).",
        Joins = "joins": "Yes.",
    }
    member_removal: MemberRemoval = "X-30", "Who may remove another member?" {
        Servers = "servers": "Server principals.",
        OwnersToo = "owners-too": "Server principals and owners of the session.",
    }
    unmatched_host: UnmatchedHost = "X-35", "What if host is no member's deviceToken?" {
        Dropped = "dropped": "The field is dropped.",
        Refused = "refused": "400.",
    }
    read_restriction_scope: ReadRestrictionScope = "X-37", "Which sessions does readRestriction govern?" {
        Open = "open": "Open ones; anyone reads a visible session.",
        OpenAndVisible = "open-and-visible": "Open and visible ones.",
    }
    defaults_of: DefaultsOf = "VER-012", "Whose contract version decides the defaults?" {
        Template = "template": "The template's.",
        Request = "request": "The creating request's.",
    }
    implied_gameplay: ImpliedGameplay = "VER-013", "Is a session of a 104 or 105 template a gameplay session?" {
        Implied = "implied": "Yes, unless the template or the creator says no; capabilities show gameplay.",
        Explicit = "explicit": "Only if capabilities.gameplay is true.",
    }
    foreign_names: ForeignNames = "VER-014", "What if a request uses the names of another contract version?" {
        Refused = "refused": "400.",
        Converted = "converted": "They are understood (CONTRA-09).",
    }
    no_change: NoChange = "COND-023", "Does a write that changes nothing raise the changeNumber?" {
        Kept = "kept": "No; the `ETag` stays as well.",
        Raised = "raised": "Yes.",
    }
    accepted_join_time: AcceptedJoinTime = "SES-JOIN-009", "What is the joinTime of a member that had been reserved?" {
        Joined = "joined": "When the user took the reservation.",
        Reserved = "reserved": "When the reservation was made.",
    }
    ready_to_active: ReadyToActive = "SES-MEMBER-010", "What if a ready member writes active alone?" {
        Clears = "clears": "It is active and no longer ready.",
        Refused = "refused": "400, both flags would be set.",
    }
    missing_connection: MissingConnection = "RTA-010", "What if a member becomes active without the live connection it needs?" {
        Inactive = "inactive": "The write succeeds, and the member is inactive (LIVE-020).",
        Refused = "refused": "400.",
    }
    device_token: DeviceToken = "LIVE-015", "What does a deviceToken stand for?" {
        Device = "device": "The device of the user's token; for a token without one, the address.",
        Address = "address": "The uploaded secureDeviceAddress.",
    }
    server_reservations: ServerReservations = "AUTH-017", "When may a server principal reserve?" {
        AtCreation = "at-creation": "When it creates the session.",
        Always = "always": "In every write.",
    }
    invite_scope: InviteScope = "HDL-INV-011", "What does an invite lift for the invited user?" {
        Restrictions = "restrictions": "joinRestriction and readRestriction.",
        VisibilityToo = "visibility-too": "Restrictions and visibility.",
    }
    unsupported_version: UnsupportedVersion = "HDR-003", "How is an unsupported contract version refused?" {
        BadRequest = "bad-request": "400.",
        NotAcceptable = "not-acceptable": "406.",
    }
    other_media_type: OtherMediaType = "HDR-008", "How is a body that is not declared as JSON refused?" {
        BadRequest = "bad-request": "400.",
        Unsupported = "unsupported": "415.",
    }
    empty_body: EmptyBody = "SES-BODY-007", "What is an empty body of a PUT?" {
        Empty = "empty-object": "The same as {}.",
        BadRequest = "bad-request": "400.",
    }
    repeated_member: RepeatedMember = "SES-BODY-001", "What if an object in a body names a member twice?" {
        Refused = "refused": "400.",
        LastCounts = "last-counts": "The last one counts.",
    }
    element_answer: ElementAnswer = "SES-ELEM-006", "What does a PUT of properties answer?" {
        Session = "session": "The whole session.",
        Element = "element": "The properties.",
    }
    element_removal: ElementRemoval = "CONTRA-45", "What does a successful DELETE of an element answer?" {
        NoContent = "no-content": "204.",
        Session = "session": "200 with the session, while there is one.",
    }
    any_not_equal: AnyNotEqual = "CONTRA-15", "What does `any(... ne ...)` mean in a search filter?" {
        None = "none": "No element is equal.",
        Some = "some": "Some element differs.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_an_id_of_its_own_and_follows_its_first_reading() {
        let rules = Rules::default();
        for (position, rule) in Rules::table().iter().enumerate() {
            assert!(
                Rules::table()[..position].iter().all(|other| other.id != rule.id),
                "{}",
                rule.id
            );
            assert_eq!(rules.reading(rule.id), Some(rule.default));
            assert_eq!(rule.readings[0].0, rule.default);
        }
    }

    #[test]
    fn every_reading_can_be_put_in_force_by_its_name() {
        for rule in Rules::table() {
            for (reading, _) in rule.readings {
                let mut rules = Rules::default();
                rules.set(rule.id, reading).expect("a reading of the table");
                assert_eq!(rules.reading(rule.id), Some(*reading));
            }
        }
    }

    #[test]
    fn an_unknown_reading_is_told_with_the_known_ones() {
        let error = Rules::default().set("X-12", "shallow").expect_err("no such reading");
        assert_eq!(
            error.to_string(),
            "rule `X-12` has no reading `shallow`, expected one of deep, top-level"
        );
        assert!(Rules::default().set("X-999", "deep").is_err());
    }
}
