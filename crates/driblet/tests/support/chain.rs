//! Checks the chain of an error.

/// An error's message and those of its causes. No message repeats the next one.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let messages: Vec<String> =
        std::iter::once(error.to_string()).chain(causes.map(|cause| cause.to_string())).collect();
    for pair in messages.windows(2) {
        assert!(!pair[0].contains(&pair[1]), "{messages:?}");
    }
    messages.join(": ")
}
