//! Languages of texts for people.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    Chinese,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Returns the language tag (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// Returns the language of a tag such as `zh-CN`.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next()?;
        Self::ALL
            .into_iter()
            .find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// Returns the language with the highest weight in an `Accept-Language` header (RFC 9110, section 12.5.4). Of equal
    /// weights the first counts.
    pub fn preferred(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for choice in header.split(',') {
            let (tag, parameters) = choice.split_once(';').unwrap_or((choice, ""));
            let weight = parameters
                .trim()
                .strip_prefix("q=")
                .map_or(Some(1.0), |q| q.parse().ok());
            let (Some(language), Some(weight)) = (Self::of_tag(tag), weight) else {
                continue;
            };
            if weight > best.map_or(0.0, |(best, _)| best) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

/// Replaces each `{}` of a text by the next value.
pub fn filled(text: &str, values: &[&str]) -> String {
    let mut pieces = text.split("{}");
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for (piece, value) in pieces.zip(values) {
        result.push_str(value);
        result.push_str(piece);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_places() {
        assert_eq!(filled("{} nodes, {} new.", &["6", "{}"]), "6 nodes, {} new.");
        assert_eq!(filled("Saved.", &[]), "Saved.");
    }

    #[test]
    fn the_preferred_language_has_the_highest_weight() {
        for (header, language) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Language::Chinese)),
            ("fr, en;q=0.5, zh;q=0.7", Some(Language::Chinese)),
            ("en-GB, zh", Some(Language::English)),
            ("de", None),
            ("zh;q=0, en;q=0.1", Some(Language::English)),
            ("zh;q=x", None),
            ("", None),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }
}
