//! Parameters of functions. Closures are not checked: the function that calls a closure determines its parameters.

use syn::visit::{self, Visit};
use syn::{FnArg, Pat, Signature};

use crate::source::Sources;

/// Functions with a tuple pattern among their parameters.
#[derive(Default)]
struct TuplePatterns(Vec<String>);

impl<'ast> Visit<'ast> for TuplePatterns {
    fn visit_signature(&mut self, signature: &'ast Signature) {
        let has_tuple = |argument: &FnArg| match argument {
            FnArg::Typed(argument) => is_tuple(&argument.pat),
            FnArg::Receiver(_) => false,
        };
        if signature.inputs.iter().any(has_tuple) {
            self.0.push(signature.ident.to_string());
        }
        visit::visit_signature(self, signature);
    }
}

fn is_tuple(pattern: &Pat) -> bool {
    match pattern {
        // `(): ()` is a parameter without a value.
        Pat::Tuple(tuple) => !tuple.elems.is_empty(),
        Pat::Reference(reference) => is_tuple(&reference.pat),
        Pat::Paren(inner) => is_tuple(&inner.pat),
        _ => false,
    }
}

fn functions_with_tuples(text: &str) -> Vec<String> {
    let mut found = TuplePatterns::default();
    found.visit_file(&syn::parse_file(text).expect("sources are valid"));
    found.0
}

/// A tuple bypasses the limit on parameters and has no names at the call. A struct has names.
#[test]
fn no_parameter_is_a_tuple_pattern() {
    let modules = Sources::read().0;
    let found = modules.iter().flat_map(|module| {
        let functions = functions_with_tuples(&module.text);
        functions
            .into_iter()
            .map(|function| format!("{}: {function}", module.file.display()))
    });
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_tuple_pattern_is_found_wherever_a_function_is() {
    let text = "
        fn plain(a: (u8, u8), (): ()) {}
        fn free((a, b): (u8, u8)) {}
        fn borrowed(&(a, b): &(u8, u8)) {}
        impl A { fn method(&self, a: u8, (b, c): Pair) {} }
        trait B { fn provided((a, b): (u8, u8)) {} }
        mod tests { fn outer() { fn inner((a, b): (u8, u8)) {} } }
    ";
    assert_eq!(
        functions_with_tuples(text),
        ["free", "borrowed", "method", "provided", "inner"]
    );
}
