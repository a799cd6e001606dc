//! The table of rules: every point on which sources disagree, or on which the service must choose.
//!
//! Each rule has the id of the ledger entry or clause that it decides, and two or more readings; the first one is the
//! reference's own. A decision is taken in one place of the service, which asks the table. Settled rules are in the table
//! so that a service can be made wrong on purpose, one fault at a time.

use std::fmt;

use super::variations::Freedom;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The id of the ledger entry or clause.
    pub id: &'static str,
    /// Whether its other readings are allowed, or faults.
    pub kind: RuleKind,
    /// What has to be decided.
    pub question: &'static str,
    /// Name and meaning of each reading; the first one is the default.
    pub readings: &'static [(&'static str, &'static str)],
    /// The name of the reading that the reference follows unless told otherwise.
    pub default: &'static str,
    /// The ids of other clauses that a settled rule decides.
    pub also: &'static [&'static str],
}

/// What the other readings of a rule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Sources disagree, or say nothing: a service may follow any reading.
    Contested,
    /// Nobody disputes it: the other reading is a fault, there to be seeded.
    Settled,
}

/// Whether a settled rule is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settled {
    /// The rule is kept.
    #[default]
    Kept,
    /// The fault is seeded.
    Broken,
}

impl Settled {
    /// Whether the rule is kept.
    pub fn kept(self) -> bool {
        self == Self::Kept
    }
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
                "rule `{}` has no option `{}`, expected one of {}",
                self.id,
                self.reading,
                readings.join(", ")
            ),
        }
    }
}

impl std::error::Error for UnknownRule {}

macro_rules! rules {
    (
        contested { $(
            $field:ident: $Type:ident = $id:literal, $question:literal {
                $First:ident = $first:literal: $first_meaning:literal,
                $( $Reading:ident = $name:literal: $meaning:literal, )+
            }
        )+ }
        settled { $( $settled:ident = $settled_id:literal: $rule:literal, $fault:literal $(, also $($more:literal)+)?; )+ }
    ) => {
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
            $(
                #[doc = concat!($settled_id, ": ", $rule)]
                pub $settled: Settled,
            )+
            /// What is nobody's rule.
            pub(super) freedom: Freedom,
        }

        impl Rules {
            /// Puts the reading named `reading` of rule `id` in force.
            pub fn set(&mut self, id: &str, reading: &str) -> Result<(), UnknownRule> {
                let unknown = |readings: Option<Vec<&'static str>>| {
                    Err(UnknownRule { id: id.to_owned(), readings, reading: reading.to_owned() })
                };
                match id {
                    $(
                        $id => self.$field = match reading {
                            $first => $Type::$First,
                            $( $name => $Type::$Reading, )+
                            _ => return unknown(Some(vec![$first, $( $name ),+])),
                        },
                    )+
                    $(
                        $settled_id => self.$settled = match reading {
                            "kept" => Settled::Kept,
                            "broken" => Settled::Broken,
                            _ => return unknown(Some(vec!["kept", "broken"])),
                        },
                    )+
                    _ => return unknown(None),
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
                    $( $settled_id => Some(if self.$settled.kept() { "kept" } else { "broken" }), )+
                    _ => None,
                }
            }

            /// Every rule: the contested ones, then the settled ones.
            pub fn table() -> &'static [Rule] {
                const TABLE: &[Rule] = &[
                    $(
                        Rule {
                            id: $id,
                            kind: RuleKind::Contested,
                            question: $question,
                            readings: &[($first, $first_meaning), $( ($name, $meaning) ),+],
                            default: $first,
                            also: &[],
                        },
                    )+
                    $(
                        Rule {
                            id: $settled_id,
                            kind: RuleKind::Settled,
                            question: $rule,
                            readings: &[("kept", $rule), ("broken", $fault)],
                            default: "kept",
                            also: &[$($($more),+)?],
                        },
                    )+
                ];
                TABLE
            }
        }
    };
}

rules! {
    contested {
        missing_session: MissingSession = "X-02", "What does GET of a missing session return?" {
            NoContent = "no-content": "204 without a body.",
            NotFound = "not-found": "404 with a message.",
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
            Conflict = "conflict": "409.",
        }
        visible_join: VisibleJoin = "CONTRA-05", "How is a join of a visible session refused?" {
            Forbidden = "forbidden": "403 with the session.",
            Malformed = "bad-request": "400.",
        }
        initialize_text: InitializeText = "X-24", "May a member's initialize be the string \"true\" or \"false\"?" {
            Refused = "refused": "No, 400.",
            Accepted = "accepted": "Yes.",
        }
        invite_protocols: InviteProtocols = "X-26", "Which values may inviteProtocol have?" {
            Listed = "listed": "game, tournamentgame, chat and gameparty.",
            Any = "any": "Any string.",
        }
        late_constant: LateConstant = "X-28", "What if a write gives a constant that creation left unset?" {
            Conflict = "conflict": "409, as for a constant with another value.",
            Ignored = "ignored": "The write succeeds, and the constant stays unset.",
        }
        stranger_without_me: StrangerWithoutMe = "X-29", "What if a user who is not a member writes to a session without `me`?" {
            Joins = "joins": "The user is added as a member, if it may join.",
            NotAdded = "not-added": "It writes without being added, if it may join.",
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
        unmatched_host: UnmatchedHost = "X-35", "What if host is not the deviceToken of a member?" {
            Dropped = "dropped": "The field is dropped.",
            Refused = "refused": "400.",
        }
        read_restriction_scope: ReadRestrictionScope = "X-37", "Which sessions does readRestriction govern?" {
            Open = "open": "Open ones; anyone reads a visible session.",
            OpenAndVisible = "open-and-visible": "Open and visible ones.",
        }
        implied_gameplay: ImpliedGameplay = "X-52", "Is a session of a 104 or 105 template a gameplay session?" {
            Implied = "implied": "Yes, unless the template or the creator sets it to false; capabilities show gameplay.",
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
        ready_to_active: ReadyToActive = "SES-MEMBER-010", "What if a ready member writes active alone?" {
            Clears = "clears": "It is active and no longer ready.",
            Refused = "refused": "400, both flags would be set.",
        }
        missing_connection: MissingConnection = "RTA-010", "What if a member becomes active without the live connection it needs?" {
            Inactive = "inactive": "The write succeeds, and the member is inactive (LIVE-020).",
            Refused = "refused": "400.",
        }
        invite_scope: InviteScope = "HDL-INV-011", "What does an invite lift for the invited user?" {
            Restrictions = "restrictions": "joinRestriction and readRestriction.",
            VisibilityToo = "visibility-too": "Restrictions and visibility.",
        }
        unsupported_version: UnsupportedVersion = "HDR-003", "How is an unsupported contract version refused?" {
            BadRequest = "bad-request": "400.",
            NotAcceptable = "not-acceptable": "406.",
        }
        joined: Joined = "INIT-011", "When has a member of an episode joined?" {
            Present = "present": "Once it is active or ready.",
            Accepted = "accepted": "Once it is no longer reserved.",
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
        element_answer: ElementAnswer = "SES-ELEM-006", "What does a PUT of properties return?" {
            Session = "session": "The whole session.",
            Element = "element": "The properties.",
        }
        element_removal: ElementRemoval = "CONTRA-45", "What does a successful DELETE of an element return?" {
            NoContent = "no-content": "204.",
            Session = "session": "200 with the session, while there is one.",
        }
        unsubscribe_noticed: UnsubscribeNoticed = "RTA-027", "When is it noticed that a client unsubscribed `/connections/`?" {
            AtOnce = "at-once": "At once: the service is notified.",
            AfterGrace = "after-grace": "After 30 s, like the loss of a socket.",
        }
        empty_filter: EmptyFilter = "X-50", "What does an empty string as search filter mean?" {
            Refused = "refused": "Nothing: it is refused with 400, like any empty condition.",
            None = "none": "No condition.",
        }
        any_not_equal: AnyNotEqual = "CONTRA-15", "What does `any(... ne ...)` mean in a search filter?" {
            None = "none": "No element is equal.",
            Some = "some": "Some element differs.",
        }
        managed_privilege: ManagedPrivilege = "SES-CREATE-018", "May a service bring in a user without priv=multiplayer?" {
            Overridden = "overridden": "Yes, unless it denies itself Multiplayer.Manage.",
            Needed = "needed": "No, 403.",
        }
        user_on_behalf: UserOnBehalf = "X-60", "What if a user's token comes with the headers of a service?" {
            Ignored = "ignored": "They mean nothing: the user acts for itself.",
            Refused = "refused": "403.",
        }
        default_inactive: DefaultInactive = "X-01", "What is inactiveRemovalTimeout by default?" {
            ByVersion = "by-version": "0 if the template is of contract 107, two hours if it is older.",
            TwoHours = "two-hours": "Two hours.",
            ByRequest = "by-request": "0 if the creating request is of 107, two hours if it is older.",
        }
        handle_creates: HandleCreates = "X-17", "What does a PUT through a handle to a missing session do?" {
            Created = "created": "It creates the session.",
            NotFound = "not-found": "404, and nothing is created.",
        }
        searchable_owners: SearchableOwners = "X-20", "Does searchable with userAuthorizationStyle need hasOwners?" {
            Required = "owners-required": "Yes, without it they are refused.",
            Optional = "owners-optional": "No.",
        }
        active_count: ActiveCount = "X-39", "Does membersInfo count the active?" {
            Shown = "with-active": "Yes, as `active`.",
            Hidden = "four-fields": "No.",
        }
        refused_write: RefusedWrite = "X-44", "What is the body of the 403 to a user who may read the session?" {
            Session = "session": "The session.",
            Text = "text": "A plain-text message.",
        }
        document_version: DocumentVersion = "X-45", "Which version does the `version` of a query compare?" {
            Document = "document-version": "That of the document, constants.system.version.",
            Contract = "contract-version": "The major version of the contract, which is 1.",
        }
        inactive_activity: InactiveActivity = "X-46", "May a user who is not active in a session set an activity for it?" {
            Refused = "refused": "No, 403.",
            Created = "created": "Yes, the handle is made.",
        }
        evaluation_timeout: EvaluationTimeout = "X-49", "May evaluationTimeout be given with externalEvaluation false?" {
            External = "external-only": "No, 400.",
            Always = "always": "Yes.",
        }
        read_handle: ReadHandle = "CONTRA-01", "What does GET of a handle return?" {
            Handle = "handle": "The handle.",
            Session = "session": "The session that it names.",
        }
        throttled_body: ThrottledBody = "CONTRA-11", "What is the body of a 429?" {
            LimitType = "limit-type": "The kind of limit is in `limitType`: rate.",
            Type = "type": "The kind of limit is in `type`: burst or sustain.",
            Empty = "empty": "There is none.",
        }
        take_nothing: TakeNothing = "CONTRA-14", "What is take=0 in a query?" {
            Empty = "empty": "An empty list.",
            Refused = "refused": "400.",
        }
        activity_answer: ActivityAnswer = "CONTRA-19", "What is the body of the response to POST of an activity?" {
            Handle = "handle": "The handle.",
            Empty = "empty": "There is none.",
        }
        failed_episode: FailedEpisode = "CONTRA-25", "What does the failure of a later episode do?" {
            First = "first-only": "The next episode may follow; only episode 1 ends in the stage failed.",
            Any = "any-episode": "It ends in the stage failed as well.",
        }
        transfer_rights: TransferRights = "CONTRA-30", "Whose membership does a transfer handle require?" {
            Joiner = "joiner": "That of the user who uses it.",
            Creator = "creator": "That of the user who made it.",
        }
        title_of_service: TitleOfService = "X-53", "Must a service that acts for nobody name the title?" {
            Own = "own-title": "No, it is in the title of its token.",
            Named = "named": "Yes, without it 400.",
        }
        query_media_type: QueryMediaType = "X-54", "May the body of a query of handles be declared as text/plain?" {
            Accepted = "accepted": "Yes, it is read as JSON.",
            Refused = "refused": "No, 400.",
        }
        friends: Friends = "X-55", "What is the social group `friends`?" {
            People = "people": "The same as `people`.",
            Refused = "refused": "Nothing, 400.",
        }
        attribute_case: AttributeCase = "X-56", "Does the case of letters matter in the names of search attributes?" {
            Any = "any": "No.",
            Exact = "exact": "Yes.",
        }
        named_tag: NamedTag = "X-57", "What does `tags/{name} eq '{tag}'` mean in a search filter?" {
            AnyTag = "any-tag": "Some tag is equal, regardless of the name.",
            Refused = "refused": "Nothing, 400.",
        }
        query_contract: QueryContract = "X-58", "May the `version` of a query be a contract version, such as 107?" {
            Accepted = "accepted": "Yes: no session of this contract is above it.",
            Refused = "refused": "No, 400.",
        }
        template_role_types: TemplateRoleTypes = "X-59", "May the request that creates a session send role types that the template has?" {
            Merged = "merged": "Yes: it may repeat them, and change what is mutable.",
            Conflict = "conflict": "Only as they are, otherwise 409.",
        }
        search_everywhere: SearchEverywhere = "X-64", "May a search leave out scid?" {
            Everywhere = "everywhere": "Yes, it covers all service configs that the caller has access to.",
            Refused = "refused": "No, 400.",
        }
        asked_owners: AskedOwners = "X-61", "What does `sessionOwners` in a search do?" {
            Narrows = "narrows": "Only sessions that one of these users owns are found.",
            Ignored = "ignored": "Nothing.",
        }
        known_session: KnownSession = "X-62", "What is the body of the 412 to a write whose If-None-Match fails?" {
            Session = "session": "The session.",
            Empty = "empty": "There is none.",
        }
        required_session: RequiredSession = "X-63", "What does a write with `If-Match: *` to an absent session return?" {
            NotFound = "not-found": "404.",
            Precondition = "precondition-failed": "412 without a body.",
        }
    }

    settled {
        fields_are_kept = "SES-MERGE-001": "What a write does not send is kept.", "Custom properties are replaced whole.";
        null_deletes = "SES-MERGE-008": "Null deletes a custom key.", "Null is stored.";
        system_fields_are_replaced = "SES-MERGE-012": "A system field is replaced whole.", "Keywords are appended.", also "SES-MERGE-004";
        subscriptions_are_merged = "SES-MERGE-014": "Subscriptions are merged one by one.", "They are replaced whole.";
        change_number_grows = "SES-MERGE-019": "Every change raises the changeNumber.", "It stays.";
        etag_changes = "SES-MERGE-020": "Every change changes the `ETag`.", "It stays.";
        unknown_keys_are_refused = "SES-BODY-002": "Unknown top-level keys are refused.", "They are ignored.";
        constants_are_fixed = "SES-CONST-001": "Constants cannot be changed.", "A write of others is accepted.";
        template_wins = "SES-CONST-002": "The creator cannot contradict the template.", "The creator wins.";
        template_closes_capabilities = "SES-CONST-007": "An empty capabilities object closes them.", "The creator adds to it.";
        capabilities_are_checked = "TPL-015": "Some capabilities exclude each other.", "All go together.";
        initiators_are_asked = "SES-CREATE-008": "Only initiators create the session.", "Anybody does.";
        empty_creation_is_gone = "SES-CREATE-005": "A creation without members creates no session.", "An empty session is created.";
        caller_is_itself = "SES-JOIN-002": "The xuid of `me` is the caller's.", "It is the value of the request.", also "SES-JOIN-003" "SES-MCON-007";
        joiners_are_accepted = "SES-JOIN-004": "Every new member is accepted.", "It is reserved until its next write.";
        indices_follow_each_other = "SES-JOIN-014": "A new member gets the next index.", "It leaves one out.";
        title_is_shown_while_active = "SES-MEMBER-012": "activeTitleId is shown while active.", "It is always shown.";
        full_is_full = "SES-JOIN-013": "A full session takes nobody.", "It takes everybody.";
        reservations_take_places = "SES-RSV-011": "A reservation takes a place.", "Only accepted members take places.";
        inactive_members_take_places = "SES-MEMBER-015": "An inactive member takes a place.", "It takes none.";
        first_write_accepts = "SES-RSV-013": "Any write takes a reservation.", "Only a write of `me` does.";
        closed_allows_reservations = "SES-RSV-012": "A closed session takes reservations.", "It refuses them.";
        reservations_pass_restrictions = "SES-RESTR-007": "Reserved users join despite restrictions.", "Restrictions keep them out.";
        last_member_ends_session = "SES-MEMBER-002": "The last member ends the session.", "The session stays.";
        flags_exclude = "SES-MEMBER-008": "active and ready exclude each other.", "active wins.";
        others_are_safe = "SES-MEMBER-007": "A user cannot remove others.", "It can.";
        servers_belong_to_servers = "SES-SERVER-001": "Only servers write servers.", "Users do as well.";
        visible_needs_reservation = "SES-VIS-003": "A visible session is joined by reserved users.", "Anybody joins it.";
        private_is_private = "SES-VIS-004": "A private session is read by its members.", "Anybody reads it.";
        private_has_no_keywords = "SES-VIS-007": "A private session has no keywords.", "It may have some.";
        join_restriction_holds = "SES-RESTR-003": "joinRestriction excludes non-members.", "It does nothing.";
        reserved_open_no_door = "SES-RESTR-004": "Only accepted members admit whom they follow.", "Reserved ones do as well.";
        local_needs_active = "SES-RESTR-005": "Only active members admit local users.", "Inactive ones do as well.";
        read_is_no_stricter = "SES-RESTR-011": "readRestriction cannot be stricter than joinRestriction.", "It may be.";
        style_forbids_none = "LIVE-013": "userAuthorizationStyle forbids none.", "It is accepted.";
        style_is_local = "LIVE-012": "userAuthorizationStyle defaults to local.", "It defaults to none.";
        closed_is_closed = "SES-RESTR-015": "A closed session admits no non-members.", "It takes them.";
        large_is_needed = "SES-SIZE-003": "More than 100 members need large.", "They do not.";
        privilege_is_needed = "AUTH-018": "Playing needs the multiplayer privilege.", "It does not.";
        owners_rule = "SES-OWN-003": "Only owners write system properties.", "Every member does.";
        session_ends_with_owner = "SES-OWN-006": "Without migration the last owner ends the session.", "The session stays.";
        oldest_inherits = "SES-OWN-007": "The oldest member becomes owner.", "The youngest does.";
        role_max_holds = "SES-ROLE-005": "max is enforced.", "It is not.";
        role_target_is_a_wish = "SES-ROLE-006": "target is not enforced.", "It is.";
        managed_roles_need_owners = "SES-ROLE-007": "ownerManaged needs hasOwners.", "It does not.";
        large_shows_me_only = "SES-LARGE-001": "A large session shows the caller only.", "It shows all.";
        large_refuses_others = "SES-LARGE-003": "A large session refuses reservations.", "It takes them.";
        metrics_cover_requirements = "SES-QOS-002": "Metrics cover the requirements.", "They need not.";
        requirements_bring_metrics = "SES-QOS-003": "Requirements bring their metrics.", "They do not.";
        turn_is_marked = "SES-PSYS-003": "Members in turn are marked.", "They are not.";
        host_is_a_member = "SES-PSYS-007": "host is dropped unless it is a member's.", "It is kept.";
        success_is_for_evaluation = "SES-PSYS-010": "initializationSucceeded is for the stage evaluating.", "It is ignored.";
        own_device_is_not_measured = "SES-MSYS-005": "A member does not measure itself.", "It may.";
        addresses_need_connectivity = "SES-CAP-003": "secureDeviceAddress needs connectivity.", "It does not.";
        initialization_needs_members = "INIT-026": "Too few members to initialize are refused.", "They are accepted.";
        marked_members_initialize = "INIT-002": "Only members added with initialize take part.", "Everybody does.";
        creation_is_episode_one = "INIT-003": "The members of a creation are episode 1.", "They are episode 2.";
        late_members_wait = "INIT-004": "Members added in an episode wait for the next.", "They enter the running one.";
        episode_ends_for_members = "INIT-005": "initializationEpisode goes when its episode ends.", "It stays.";
        initializing_is_shown = "INIT-006": "initializing is shown while an episode runs.", "It is not.";
        first_failure_is_final = "INIT-008": "Nobody is initialized after episode 1 failed.", "The next ones are.";
        measuring_needs_metrics = "INIT-009": "Without anything to measure, measuring is skipped.", "It is not.";
        evaluating_is_external = "INIT-010": "Without external evaluation, evaluating is skipped.", "It is not.";
        absent_members_are_removed = "INIT-012": "joinTimeout removes reservations.", "They stay.";
        titles_judge_measurements = "INIT-051": "With external evaluation the title evaluates the measurements.", "The service does.";
        late_measurements_fail = "INIT-013": "Who uploads no measurements in time fails.", "It passes.";
        silence_is_failure = "INIT-014": "No evaluation in time is a failure.", "It is a success.";
        evaluation_timeout_is_external = "INIT-015": "evaluationTimeout needs external evaluation.", "It does not.";
        verdict_is_not_shown = "INIT-017": "initializationSucceeded is never shown.", "It is.";
        rejected_members_fail = "INIT-018": "A failed evaluation fails the members.", "It leaves no mark on them.";
        earliest_failure_wins = "INIT-019": "The earliest of several failures is shown.", "The latest is.";
        missing_metric_fails = "INIT-022": "A required metric that is missing is a failure.", "It is overlooked.";
        groups_fail_together = "INIT-023": "A member fails with its group.", "It passes.";
        groups_have_members = "INIT-024": "A group has indices below membersInfo.next.", "It may have others.";
        first_episode_needs_members = "INIT-025": "Only episode 1 needs so many members.", "Every episode does.";
        too_few_fail_together = "INIT-027": "Too few who pass make everybody fail.", "Those who pass pass.";
        initialization_has_defaults = "INIT-029": "joinTimeout is 10 seconds by default.", "It is 5 seconds.";
        old_initialization_has_defaults = "INIT-030": "Before 107 initialization has other defaults.", "It has those of 107.";
        large_is_not_initialized = "INIT-031": "A large session has no initialization.", "It may have one.";
        metrics_need_connectivity = "INIT-032": "Metrics need connectivity.", "They do not.";
        peers_are_judged = "INIT-034": "peerToPeerRequirements decide who passes.", "They do not.";
        hosts_are_judged = "INIT-035": "peerToHostRequirements decide who passes.", "They do not.";
        host_metric_decides = "INIT-036": "hostSelectionMetric orders the candidates.", "Latency always does.", also "INIT-037";
        candidates_are_shown = "INIT-037": "hostCandidates appear after measuring.", "They do not.";
        host_ends_candidacy = "INIT-038": "A host clears hostCandidates.", "They stay.";
        host_is_given = "INIT-039": "With a host only links to it count.", "Any host will do.";
        server_names_are_lower_case = "INIT-044": "Measurement servers have lower-case names.", "They need not.";
        servers_are_ranked = "INIT-045": "The service ranks measured servers.", "It does not.";
        stage_time_is_new = "INIT-047": "Each stage has a stageStartTime of its own.", "All have that of the episode.";
        initialization_overrides_timeouts = "TMO-015": "Initialization overrides other timeouts.", "It does not.";
        initialize_needs_initialization = "LIVE-014": "initialize is dropped without memberInitialization.", "It is kept.";
        timers_are_applied = "TMO-003": "Expired timers are applied at the next access.", "They are not.", also "SES-LIFE-001" "SES-LIFE-003" "SES-LIFE-004" "SES-LIFE-005" "TMO-006" "TMO-008" "COND-026" "INIT-049" "HDL-DRF-011" "QRY-045" "TMO-005" "TMO-009" "RTA-026";
        timer_starts_anew = "TMO-020": "A timer starts again with the status.", "It runs on.", also "SES-LIFE-003" "TMO-004";
        timers_are_not_stacked = "TMO-004": "An access takes a member one step.", "It takes all that are due by then.";
        joins_stop_the_clock = "TMO-013": "A join ends the time of an empty session.", "It runs on.";
        next_timer_is_shown = "TMO-016": "nextTimer is shown while a timer runs.", "It is not.";
        versions_differ = "LIVE-006": "A document is rendered for the caller's version.", "It always has the names of 107.";
        old_default_is_two_hours = "VER-010": "A 104 template has other defaults.", "It has those of 107.", also "VER-012" "VER-013";
        xuid_is_text = "SES-MCON-001": "A xuid is a string.", "It is a number.";
        chain_visits_members = "SES-RESP-007": "next leads to the next member.", "It is the index plus one.";
        index_is_shown = "LIVE-008": "A member shows its index.", "It does not.";
        handles_need_no_session = "HDL-GEN-003": "A handle needs no session.", "It does.", also "HDL-ACT-002";
        handles_tell_where_they_are = "LIVE-001": "A new handle comes with its location.", "It does not.";
        deleted_handles_are_gone = "HDL-GEN-011": "A deleted handle is gone.", "It stays.";
        handle_numbers_are_text = "HDL-GEN-019": "Handles show xuids and title ids as strings.", "As numbers.";
        activities_may_be_unnamed = "HDL-ACT-002": "An activity's session gets a name if it has none.", "It is refused.";
        activity_replaces = "HDL-ACT-003": "An activity ends the one before.", "That one stays.";
        activity_ends_with_membership = "HDL-ACT-005": "The activity of a member who leaves is deleted.", "It stays.";
        activities_are_own = "HDL-ACT-008": "Only its owner deletes an activity.", "Anybody does.";
        invites_tell_sender_and_end = "HDL-INV-003": "An invite shows senderXuid and expiration.", "It does not.";
        context_is_bounded = "HDL-INV-005": "A long context is refused.", "It is accepted.";
        full_sessions_invite = "HDL-INV-009": "A full session can be invited to.", "It cannot.";
        closed_sessions_invite = "HDL-INV-010": "A closed session can be invited to.", "It cannot.";
        invites_are_personal = "HDL-INV-013": "An invite is for the invited user.", "It is for all.";
        owners_invite = "HDL-INV-014": "Only owners invite, unless others may.", "Every member does.";
        invites_need_a_guest = "HDL-INV-021": "invitedXuid is required.", "It is optional.";
        handle_names_session = "LIVE-011": "The session behind a handle is named in Content-Location.", "It is not.";
        content_location_is_a_path = "HDL-DRF-002": "Content-Location is a path.", "It has a host.";
        write_by_handle_is_answered = "HDL-DRF-004": "A write through a handle returns the session.", "The response has no body.";
        missing_by_handle_is_empty = "HDL-DRF-007": "A missing session behind a handle is 204.", "It is an empty document.";
        handles_honour_conditions = "HDL-DRF-009": "Preconditions work through handles.", "They are ignored.";
        activity_scid_is_optional = "HDL-QRY-003": "scid is optional.", "It is required.";
        favorites_are_fewer = "HDL-QRY-004": "favorites selects favourites.", "It selects all that are followed.";
        owners_are_all_asked = "HDL-QRY-005": "The activity of each xuid is found.", "Only that of the first is.";
        one_kind_of_owners = "HDL-QRY-006": "xuids and people together are refused.", "xuids win.";
        handles_are_plain = "HDL-QRY-008": "Nothing is included unasked.", "relatedInfo is.";
        related_info_tells_closed = "HDL-QRY-009": "relatedInfo shows closed.", "It does not.";
        custom_properties_are_included = "HDL-QRY-011": "customProperties are included on request.", "They are not.";
        role_info_is_included = "HDL-QRY-012": "roleInfo is included on request.", "It is not.";
        full_is_computed = "HDL-QRY-013": "relatedInfo shows a full session as full.", "As open.";
        members_count_counts = "HDL-QRY-015": "membersCount counts the members.", "It is maxMembersCount.";
        no_activities_are_a_list = "HDL-QRY-016": "Without matches results are empty.", "The response is 204.";
        private_activities_are_hidden = "HDL-QRY-019": "The activity of a private session is hidden.", "It is shown.";
        searchable_is_needed = "SRCH-HDL-002": "A search handle needs searchable.", "It does not.";
        withdrawal_is_no_change = "SRCH-HDL-007": "Deleting a search handle leaves the session.", "It raises the changeNumber.";
        tags_are_checked = "SRCH-HDL-008": "A wrong tag is refused.", "All attributes are dropped.";
        attribute_names_are_checked = "SRCH-HDL-009": "A wrong name of an attribute is refused.", "All attributes are dropped.";
        attributes_keep_their_case = "SRCH-HDL-011": "Attributes keep their case.", "They are lowered.";
        attributes_are_optional = "SRCH-HDL-013": "searchAttributes are optional.", "They are required.";
        search_handles_admit = "SRCH-HDL-015": "A search handle admits non-members.", "It does not.";
        owners_block = "SRCH-HDL-016": "A user blocked by an owner cannot join.", "It can.";
        search_is_ordered = "SRCH-QRY-003": "orderBy orders.", "It is ignored.";
        search_asks_for_people = "SRCH-QRY-006": "sessionMembers narrows a search.", "It is ignored.";
        empty_group_is_refused = "SRCH-QRY-007": "An empty social group is refused.", "It is not one.";
        session_owners_are_told = "SRCH-QRY-009": "relatedInfo shows sessionOwners.", "It does not.";
        malformed_filter_is_refused = "SRCH-QRY-014": "A malformed filter is refused.", "It is not one.";
        any_may_be_compared = "SRCH-FLT-004": "any may be compared with a boolean.", "It may not.";
        one_or = "SRCH-FLT-005": "A second or is refused.", "It is ignored.";
        or_is_at_the_root = "SRCH-FLT-006": "or below and is refused.", "What follows it is ignored.";
        literals_keep_their_case = "SRCH-FLT-011": "An upper-case literal never matches.", "It is lowered.";
        ge_is_no_gt = "SRCH-FLT-014": "ge and le include equality.", "They do not.";
        filters_ask_for_members = "SRCH-FLT-016": "memberXuids and ownerXuids are filtered by.", "They are empty.";
        filters_count_members = "SRCH-FLT-020": "membersCount is the number of members.", "It is that of free places.";
        filters_count_roles = "SRCH-FLT-023": "A role's count is its holders'.", "It is 0.";
        role_target_falls_back = "SRCH-FLT-024": "A role's target falls back to its max.", "It does not.";
        filters_ask_for_keywords = "SRCH-FLT-026": "Keywords are filtered by.", "They are empty.";
        template_narrows_queries = "QRY-001": "The query of a template finds its sessions.", "It finds those of all templates.";
        queries_need_a_key = "QRY-003": "A query needs a keyword or a user.", "Without one it finds nothing.";
        private_is_not_found = "QRY-004": "Private sessions are not found.", "They are.";
        keywords_ignore_case = "QRY-005": "Keywords match in any case.", "Case matters.";
        only_active_is_found = "QRY-006": "A user's sessions are those where it is active.", "All are found.";
        inactive_is_found_when_asked = "QRY-007": "inactive finds inactive members.", "It is ignored.";
        reserved_is_found_when_asked = "QRY-008": "reservations finds reservations.", "It is ignored.";
        private_is_found_when_asked = "QRY-009": "private finds private sessions.", "It is ignored.";
        own_private_may_be_asked = "QRY-011": "A user can request its own private sessions.", "It may not.";
        servers_may_ask = "QRY-012": "A service can request private sessions.", "It may not.";
        others_private_is_refused = "QRY-013": "Private sessions of others are refused.", "They are reported.";
        batch_is_refused_as_a_whole = "QRY-014": "One other user in a batch refuses it.", "Only others refuse it.";
        private_by_keyword_is_refused = "QRY-015": "Private sessions by keyword are refused.", "They are reported.";
        inactive_needs_no_right = "QRY-016": "inactive can be requested for others.", "It may not.";
        visibility_is_effective = "QRY-018": "visibility=open excludes full sessions.", "It includes them.";
        private_needs_private = "QRY-019": "visibility=private needs private=true.", "It does not.";
        version_is_checked = "QRY-022": "version is within the contract's.", "It is not checked.";
        take_is_checked = "QRY-023": "take is at most 100.", "It is not checked.";
        start_time_is_told = "QRY-026": "Results show startTime.", "They do not.";
        xuid_only_if_asked = "QRY-027": "xuid is shown only on request.", "It is always shown.";
        status_is_told = "QRY-028": "Results show the user's status.", "They do not.";
        turn_is_told = "QRY-029": "Results show myTurn.", "They do not.";
        restriction_only_if_set = "QRY-030": "joinRestriction is shown only if set.", "It is always shown.";
        results_show_full = "QRY-031": "Results show a full session as full.", "As open.";
        keywords_are_told = "QRY-032": "Results show keywords.", "They do not.";
        batch_keeps_order = "QRY-034": "Batch results are in the order of the requested xuids.", "In that of their numbers.";
        batch_tells_each_user = "QRY-035": "A session is listed for each user.", "It is reported once.";
        keyword_narrows_users = "QRY-038": "keyword and xuid must both match.", "keyword is ignored.";
        unknown_scid_is_not_found = "QRY-041": "A query of an unknown service config is 404.", "It finds nothing.";
        large_sessions_are_found = "QRY-047": "Large sessions are found by xuid.", "They are not.";
        invites_lift_restrictions = "HDL-INV-012": "An invite does not open a closed session.", "It does.";
        transfers_lift_restrictions = "HDL-TRF-002": "A transfer admits despite restrictions.", "It does not.";
        activity_is_a_change = "LIVE-002": "Binding an activity changes the session.", "It does not.";
        inactive_has_no_activity = "HDL-ACT-004": "An inactive member has no activity.", "It keeps it.";
        lost_connection_is_noticed = "RTA-025": "A lost connection makes inactive.", "It does not.";
        codings_are_undone = "HDR-022": "A body may be encoded as gzip or deflate.", "It may not.";
        scheduled_time_is_kept = "SES-PSYS-019": "scheduledTime is kept.", "It is dropped.";
        titles_are_asked_for = "SRCH-FLT-031": "A filter can use the title of the service config.", "It may not.";
        search_tells_description = "SRCH-QRY-016": "relatedInfo shows the description.", "It does not.";
        results_are_not_cached = "HDR-023": "What queries find is not for caches.", "They have no Cache-Control.";
        types_are_not_guessed = "HDR-024": "Responses forbid guessing of media types.", "They do not.";
        me_needs_a_user = "AUTH-005": "A service that acts for nobody has no `me`.", "It is ignored.";
        privileges_are_known = "AUTH-008": "A service gives no privilege but multiplayer.", "Any name will do.";
        me_is_one_user = "AUTH-009": "With several acting users `me` is refused.", "It is all of them.";
        acting_users_are_named = "AUTH-010": "`me_{xuid}` is an acting user.", "Another is ignored.";
        all_in_session_are_members = "AUTH-011": "`me_allInSession` adds nobody.", "It is the same as `me_all`.";
        null_removes_acting_user = "AUTH-012": "Null removes the acting user.", "It does nothing.";
        manage_overrides = "AUTH-013": "A service overrides the rights of users.", "Their rights are required.";
        denial_needs_a_user = "AUTH-014": "To deny Multiplayer.Manage takes an acting user.", "It does not.";
        large_takes_one_user = "AUTH-016": "A large session takes one acting user.", "It takes several.";
        large_shows_acting_user_only = "AUTH-021": "A large session shows the acting user only.", "It shows all.", also "SES-LARGE-001";
        services_set_no_activity = "HDL-ACT-011": "A service sets no activity.", "It does for its acting user.";
        ready_is_listed_as_inactive = "SES-MEMBER-013": "The ready are listed as inactive.", "As active.";
        tokens_are_of_devices = "LIVE-015": "A deviceToken stands for the device.", "It stands for the uploaded address.";
        services_reserve_at_creation = "AUTH-017": "A service reserves when it creates the session.", "It reserves in every write.";
        services_name_the_title = "AUTH-007": "A service that acts for users names the title.", "It need not.";
        join_time_is_of_the_join = "SES-JOIN-009": "The joinTime of a reserved user becomes that of its join.", "It stays that of the reservation.";
        subscribed_titles_are_numbers = "SES-MSYS-014": "onBehalfOfTitleId is a decimal number.", "Any string is accepted.";

        sub_protocol_is_chosen = "RTA-001": "The service chooses the sub-protocol that the handshake offers.", "It names none.";
        nonces_open_sockets = "RTA-046": "A nonce opens a socket in place of a token.", "It does not.";
        nonces_are_spent = "RTA-047": "A nonce opens one socket.", "It opens any number.";
        sub_protocol_may_be_left_out = "RTA-044": "The handshake need not offer the sub-protocol.", "Without it the handshake is refused.";
        unknown_resources_are_refused = "RTA-004": "An unknown resource is refused.", "It is subscribed to.";
        unsubscribing_is_answered = "RTA-005": "Unsubscribing gets a reply.", "It is not.";
        sequence_is_echoed = "RTA-007": "A reply has the sequence number of its request.", "It has the next one.";
        connection_id_is_capital = "RTA-008": "The connection's id is called ConnectionId.", "It is called connectionId.";
        only_active_members_are_tapped = "RTA-011": "Only active members are tapped, and only where the capability is.", "All are.";
        no_kinds_no_taps = "RTA-013": "Empty changeTypes end taps.", "They stand for everything.";
        events_name_their_channel = "RTA-014": "An event has an ncid.", "It has none.";
        taps_name_their_change = "RTA-015": "A tap has the changeNumber of its change.", "It has the one before.";
        resources_have_tildes = "RTA-016": "The parts of a resource have tildes between them.", "They have slashes.";
        taps_match_their_kinds = "RTA-018": "Only changes of the subscribed kinds are reported.", "All are.";
        writers_are_tapped = "RTA-019": "A writer is tapped for its own write.", "It is not.";
        every_subscriber_is_tapped = "RTA-020": "Every subscriber has a tap of its own.", "Only the first one has.";
        ten_sessions_a_connection = "RTA-023": "A connection gets events of at most ten sessions.", "There is no limit.";
        large_refuses_subscriptions = "RTA-024": "Large sessions cannot be subscribed to.", "They can.";
        sockets_end = "RTA-029": "A socket ends after two hours.", "It does not.";
        events_have_ids = "RTA-048": "Each event has an ncid of its own.", "All events of a connection have the same.";
        ends_are_told = "RTA-049": "Subscribers are notified of the end of a session.", "It is not.";
        invites_arrive = "RTA-050": "An invite is sent to the sockets that listen for it.", "It is not.";
        other_resources_are_harmless = "RTA-051": "A subscription to a resource of a user at another service succeeds.", "It is refused.";
        unsubscribing_disconnects = "RTA-030": "Unsubscribing counts as a disconnect.", "It does nothing.";
        tokens_end_sockets = "RTA-043": "A socket ends with its token.", "It outlives it.";
        timers_tap = "TMO-024": "Changes by timers are reported.", "It is not.";

        users_are_limited_alone = "RATE-001": "Each user of a title has limits of its own.", "All users of a title share them.";
        windows_are_short = "RATE-002": "A window is over after 15 or 300 s.", "After twice as long.";
        throttled_requests_do_nothing = "RATE-010": "A request that is one too many has no effect.", "It is carried out.";
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
            "rule `X-12` has no option `shallow`, expected one of deep, top-level"
        );
        assert!(Rules::default().set("X-999", "deep").is_err());
    }
}
