//! Part of a page that a template of its own renders.

use std::fmt;

use askama::Template;

/// Rendered HTML, for a place in another template.
pub(super) struct Fragment(String);

impl Fragment {
    pub(super) fn of(template: &impl Template) -> askama::Result<Self> {
        template.render().map(Self)
    }
}

impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Values in it are escaped already.
impl askama::filters::HtmlSafe for Fragment {}
