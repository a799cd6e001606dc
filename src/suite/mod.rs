//! What is asked: chapters, clauses, cases and the schemas of the documents.

pub mod schemas;
