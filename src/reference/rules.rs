//! The table of rules: every point on which sources disagree, or on which the service must choose.
