//! How contract versions differ.

use super::{Change, DONE, Edit, On, PUT, SESSION, SESSIONS, WireFault, fault};

/// A fault of the documents that callers of 104 get.
const fn at_104(
    id: &'static str,
    text: &'static str,
    clauses: &'static [&'static str],
    does: &'static [Change],
) -> WireFault {
    fault(
        id,
        text,
        clauses,
        &[SESSIONS, DONE, On::Sent("x-xbl-contract-version", "104")],
        does,
    )
}

/// A fault of the documents that callers of 105 get.
const fn at_105(
    id: &'static str,
    text: &'static str,
    clauses: &'static [&'static str],
    does: &'static [Change],
) -> WireFault {
    fault(
        id,
        text,
        clauses,
        &[SESSIONS, DONE, On::Sent("x-xbl-contract-version", "105")],
        does,
    )
}

#[rustfmt::skip]
pub(super) const TABLE: &[WireFault] = &[
    at_104("104-has-no-timeouts", "104 has no timeouts.", &["LIVE-006", "VER-011", "SES-CVER-006"], &[Change::Tell("/constants/system/timeouts", Edit::Remove)]),
    at_104("104-names-timeouts-otherwise", "104 has another name for the timeout of inactive members.", &["LIVE-006", "VER-011"], &[Change::Tell("/constants/system/timeouts/inactive", Edit::Rename("inactiveRemovalTimeout"))]),
    at_104("104-has-no-empty-timeout", "104 does not show sessionEmpty.", &["LIVE-006", "VER-011"], &[Change::Tell("/constants/system/timeouts/sessionEmpty", Edit::Remove)]),
    at_104("104-has-other-timeouts", "104 shows a longer timeout of inactive members.", &["VER-011", "LIVE-006", "SES-CVER-006"], &[Change::Tell("/constants/system/timeouts/inactive", Edit::Add(1))]),
    at_105("105-has-no-timeouts", "105 has no timeouts.", &["LIVE-006", "VER-011", "SES-CVER-003"], &[Change::Tell("/constants/system/timeouts", Edit::Remove)]),
    at_105("105-names-initialization-otherwise", "105 has the name memberInitialization.", &["SES-CVER-003", "SES-CVER-004", "LIVE-006"], &[Change::Tell("/constants/system/managedInitialization", Edit::Rename("memberInitialization"))]),
    at_105("105-has-no-change-number", "105 has no changeNumber.", &["LIVE-007", "SES-CVER-003", "SES-RESP-002"], &[Change::Tell("/changeNumber", Edit::Remove)]),
    at_105("105-is-107", "105 shows contract version 107.", &["SES-RESP-001", "VER-001"], &[Change::Tell("/contractVersion", Edit::Set("107"))]),
    at_104("104-names-initialization-otherwise", "104 has the name memberInitialization.", &["SES-CVER-004", "LIVE-006"], &[Change::Tell("/constants/system/managedInitialization", Edit::Rename("memberInitialization"))]),
    at_104("104-has-no-initialization", "104 has no managedInitialization.", &["SES-CVER-004", "LIVE-006"], &[Change::Tell("/constants/system/managedInitialization", Edit::Remove)]),
    at_104("104-evaluates-externally", "104 shows externalEvaluation.", &["SES-CVER-004", "LIVE-006"], &[Change::Tell("/constants/system/managedInitialization/autoEvaluate", Edit::Rename("externalEvaluation"))]),
    at_104("104-evaluates-opposite", "104 shows autoEvaluate with the same value as externalEvaluation.", &["SES-CVER-004", "VER-007", "VER-008"], &[Change::Tell("/constants/system/managedInitialization/autoEvaluate", Edit::Not)]),
    at_104("104-needs-one", "104 shows one member less that is needed to start.", &["VER-009", "INIT-030", "SES-CVER-004"], &[Change::Tell("/constants/system/managedInitialization/membersNeededToStart", Edit::Add(-1))]),
    at_104("104-has-custom-lost", "104 loses custom properties.", &["SES-CVER-006", "LIVE-006", "SES-MERGE-001"], &[Change::Tell("/properties/custom", Edit::Set("{}"))]),
    at_104("104-has-capabilities-lost", "104 has no capabilities.", &["LIVE-006", "SES-CVER-006"], &[Change::Tell("/constants/system/capabilities", Edit::Remove)]),
    at_104("104-has-metrics-lost", "104 has no metrics.", &["LIVE-006", "SES-CVER-006", "VER-006"], &[Change::Tell("/constants/system/metrics", Edit::Remove)]),
    fault("107-has-gameplay-always", "Every session shows gameplay.", &["SES-CAP-001"], &[SESSIONS, DONE], &[Change::Tell("/constants/system/capabilities/gameplay", Edit::Put("true"))]),
    fault("107-names-timeouts-as-104", "107 names the timeout of inactive members as 104 does.", &["LIVE-006", "VER-011", "VER-012"], &[SESSIONS, DONE, On::Sent("x-xbl-contract-version", "107")], &[Change::Tell("/constants/system/inactiveRemovalTimeout", Edit::Rename("inactive"))]),
    fault("old-names-are-overlooked", "Timeouts of 104 are overlooked.", &["SES-CVER-006", "VER-011"], &[SESSION, PUT, On::Sent("x-xbl-contract-version", "10")], &[Change::Ask("/constants/system/timeouts", Edit::Remove)]),
    fault("old-initialization-is-overlooked", "managedInitialization is overlooked.", &["SES-CVER-004", "SES-CVER-006", "INIT-030"], &[SESSION, PUT], &[Change::Ask("/constants/system/managedInitialization", Edit::Remove)]),
    fault("auto-evaluate-is-overlooked", "autoEvaluate is overlooked.", &["VER-007", "SES-CVER-004", "INIT-006", "INIT-010"], &[SESSION, PUT], &[Change::Ask("/constants/system/managedInitialization/autoEvaluate", Edit::Remove)]),
    fault("external-evaluation-is-overlooked", "externalEvaluation is overlooked.", &["VER-007", "INIT-010"], &[SESSION, PUT], &[Change::Ask("/constants/system/memberInitialization/externalEvaluation", Edit::Remove), Change::Ask("/constants/system/memberInitialization/evaluationTimeout", Edit::Remove)]),
];
