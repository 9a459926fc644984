/// Bytes that can never become a valid message, whatever follows; the connection cannot be used any further.
///
/// The texts are the ones Redis gives, so a server can answer with `-ERR ` and the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The number of arguments is no number, or above [`crate::Limits::args`].
    #[error("Protocol error: invalid multibulk length")]
    ArrayLength,
    /// The length of an argument or of a value is no number, or above its limit.
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    /// The whole request is longer than [`crate::Limits::request_bytes`].
    #[error("Protocol error: too big request")]
    RequestLength,
    /// An argument did not start with `$`.
    #[error("Protocol error: expected '$', got '{}'", .0.escape_ascii())]
    NotBulk(u8),
    /// A value is not followed by CR LF at the announced length.
    #[error("Protocol error: a value does not end where its length says")]
    Terminator,
    /// A line without an end, or an inline request above [`crate::Limits::inline_bytes`].
    #[error("Protocol error: too big inline request")]
    Line,
    /// An inline request with quotes; only the array form can carry them.
    #[error("Protocol error: quotes in an inline request are not supported")]
    Quotes,
    /// A reply that starts with none of `+ - : $ *`.
    #[error("Protocol error: '{}' starts no reply", .0.escape_ascii())]
    ReplyType(u8),
    /// An integer reply without an integer.
    #[error("Protocol error: invalid integer")]
    Integer,
    /// Arrays in arrays, deeper than any command answers.
    #[error("Protocol error: arrays nested too deep")]
    Depth,
}
