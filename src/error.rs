//! Error policy.
//!
//! Every module has its own error enum: sentences in lower case without a full stop, which say what was found, where, and
//! what was expected. They never hold patient data. An error that can end a job or an association answers two questions
//! through [`Duty`]: whose fault it is, and whether trying again can help. DIMSE statuses, HTTP statuses and exit codes
//! are given at the edge only (`net`, `http`, `cli`).

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The other end of a connection broke its protocol.
    Peer,
    /// The objects themselves do not allow what was asked of them.
    Data,
    /// The configuration does not fit.
    Config,
    /// This program or its machine.
    Internal,
}

/// Whether, and when, trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Immediately.
    Now,
    /// After a while: a full disk, a peer that does not answer.
    Later,
    /// Not before the data or the configuration changes: the job is parked.
    Never,
}

/// What an error asks of the one who handles it.
pub trait Duty {
    /// Whose fault it is.
    fn fault(&self) -> Fault;
    /// Whether trying again can help.
    fn retry(&self) -> Retry;
}
