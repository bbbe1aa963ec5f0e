//! Methods of the gateway, each in its own file and in the table `METHODS`.

use super::check;
use super::method::Method;
use super::push;

const METHODS: &[Method] = &[check::METHOD, push::METHOD];

pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Assumptions of `signature_ambiguity` and `value_kind` about the names.
    #[test]
    fn names_that_are_read_tell_themselves_from_each_other_and_from_values() {
        for method in METHODS {
            let all = method.parameters.sorted().all;
            for (name, _) in &all {
                assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
                let begins_like_json = ["true", "false", "null"]
                    .iter()
                    .any(|json| name.starts_with(json));
                // A number could continue with an exponent.
                assert!(!begins_like_json && !name.starts_with('e'), "{name}");
                let longer = all
                    .iter()
                    .filter(|(other, _)| other != name && other.starts_with(name));
                assert!(longer.count() == 0 || *name == "v", "{name}");
            }
            assert!(all.is_sorted_by(|(one, _), (other, _)| one < other));
            let is_read = |name: &&str| method.parameters.reads.iter().any(|(read, _)| read == name);
            assert!(method.parameters.required.iter().all(is_read));
        }
    }
}
