//! Size of handlers.

use crate::source::Sources;

/// Maximum number of lines in the body of a handler.
const MAX_LINES: usize = 15;

/// A handler parses the request, calls one use case and maps its result. The rest belongs to its request and response
/// types.
#[test]
fn handlers_are_short() {
    let sources = Sources::read();
    let handlers: Vec<_> = sources
        .layer("http")
        .flat_map(|module| handlers_of(&module.text))
        .collect();
    assert!(handlers.len() > 50, "handlers are found by their attribute");
    let long: Vec<_> = handlers.iter().filter(|(_, lines)| *lines > MAX_LINES).collect();
    assert!(long.is_empty(), "{long:?} have more than {MAX_LINES} lines");
}

/// Returns the names of the handlers in a formatted file, each with the number of lines in its body.
fn handlers_of(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.split("#[utoipa::path(").skip(1).map(|after| {
        let function = after.split_once("\npub(super) async fn ");
        let (_, function) = function.expect("the attribute is that of a function");
        let name = function.split('(').next().unwrap_or_default();
        let (_, body) = function.split_once("{\n").expect("a function has a body");
        let lines = body.lines().take_while(|line| *line != "}").count();
        (name, lines)
    })
}
