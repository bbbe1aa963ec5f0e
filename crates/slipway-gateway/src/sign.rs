//! Signatures of a request's parameters.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Number of bytes of the longest signature.
const LONGEST_SIGNATURE: usize = 32;

/// Algorithms of `sign_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignMethod {
    /// MD5 of secret, text, secret; the default of old clients.
    Md5,
    /// HMAC-MD5.
    Hmac,
    HmacSha256,
}

impl SignMethod {
    /// Names that [`SignMethod::parse`] accepts.
    pub const NAMES: [&str; 3] = ["md5", "hmac", "hmac-sha256"];

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "md5" => Some(Self::Md5),
            "hmac" => Some(Self::Hmac),
            "hmac-sha256" => Some(Self::HmacSha256),
            _ => None,
        }
    }

    /// Returns the bytes of the signature.
    pub fn sign(self, secret: &str, text: &str) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::new()
                .chain_update(secret)
                .chain_update(text)
                .chain_update(secret)
                .finalize()
                .to_vec(),
            Self::Hmac => mac::<Hmac<Md5>>(secret, text),
            Self::HmacSha256 => mac::<Hmac<Sha256>>(secret, text),
        }
    }

    /// Returns true if `signature`, in hexadecimal of either case, is valid for the text. The time is constant except
    /// for its length.
    pub fn verify(self, secret: &str, text: &str, signature: &str) -> bool {
        let own = self.sign(secret, text);
        let mut presented = [0; LONGEST_SIGNATURE];
        let presented = &mut presented[..own.len()];
        hex::decode_to_slice(signature, presented).is_ok() && own.ct_eq(presented).into()
    }
}

fn mac<M: Mac + KeyInit>(secret: &str, text: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Parameters sorted by the bytes of their names; names are unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterSet<'a>(Vec<(&'a str, &'a str)>);

/// If a name is repeated, the last value counts.
impl<'a> FromIterator<(&'a str, &'a str)> for ParameterSet<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by_key(|(name, _)| *name);
        pairs.reverse();
        pairs.dedup_by_key(|(name, _)| *name);
        pairs.reverse();
        Self(pairs)
    }
}

impl<'a> ParameterSet<'a> {
    /// Builds a set from pairs that are sorted and have unique names.
    pub fn of_sorted(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs: Vec<_> = pairs.collect();
        debug_assert!(pairs.is_sorted_by(|(one, _), (other, _)| one < other));
        Self(pairs)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }

    /// Returns the signed parameters, which are all except `sign`.
    pub fn signed(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter(|(name, _)| *name != "sign")
    }

    /// Removes parameters with a blank value, which some clients send but do not sign.
    #[must_use]
    pub fn without_blanks(mut self) -> Self {
        self.0.retain(|(_, value)| !value.trim().is_empty());
        self
    }
}

/// Returns the signed text: names and values without separators.
pub fn canonical_text(params: &ParameterSet<'_>) -> String {
    let length = params.iter().map(|(name, value)| name.len() + value.len()).sum();
    let mut text = String::with_capacity(length);
    for (name, value) in params.signed() {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: [(&str, &str); 12] = [
        ("app_key", "12345678"),
        ("method", "wdk.rexout.resource.list.check"),
        ("timestamp", "2026-01-02 03:04:05"),
        ("format", "json"),
        ("v", "2.0"),
        ("package_name", "com.test.test"),
        ("version_code", "1"),
        ("device_id", "12345"),
        ("device_type", "10013"),
        ("old_versions", "{}"),
        ("org_info", r#"{"l1Code":"HM"}"#),
        ("tenant_id", "10000000"),
    ];

    fn whole(params: ParameterSet<'_>) -> String {
        canonical_text(&params)
    }

    /// Returns the signatures of one request under the three algorithms. `sign_method` is itself a signed parameter.
    fn signatures(
        more: &[(&'static str, &'static str)],
        text: fn(ParameterSet<'_>) -> String,
    ) -> Vec<String> {
        SignMethod::NAMES
            .map(|name| {
                let own = [("sign_method", name), ("sign", "is left out")];
                let params = CHECK.into_iter().chain(more.iter().copied()).chain(own);
                let algorithm = SignMethod::parse(name).unwrap();
                hex::encode_upper(algorithm.sign("helloworld", &text(params.collect())))
            })
            .to_vec()
    }

    #[test]
    fn the_vectors_of_a_check_hold() {
        let a = signatures(&[("attributes", "{}")], whole);
        assert_eq!(
            a,
            [
                "D005A231371375EF38C5F5FCF6BEB1DB",
                "BDB79956FD7368D92CD7D4FCD8BF8080",
                "E8DB2997A350F2E4101389B29630E5009D1031DA628CDC67687A94FD84B5E656",
            ]
        );
        let b = signatures(&[("attributes", r#"{"store":"杭州 1+1","note":"🚀&=%"}"#)], whole);
        assert_eq!(
            b,
            [
                "1AA219F031C055EB5B43E2384543E32A",
                "34F3156C9465CE4086E504C1F0E03DE9",
                "313069345B5A788801C666669D2AE403BFE46B0AE89E3347E71472EC41CEF60B",
            ]
        );
        let d = [
            ("attributes", "{}"),
            ("simplify", "true"),
            ("partner_id", "top-sdk-java-20200923"),
        ];
        assert_eq!(
            signatures(&d, whole),
            [
                "E72A8ED17F56813BF24FC3DB992F6829",
                "F7705D2E56A125588001D937C48110BB",
                "0CBD11392B8AC9A858049ADD722248581FAF63B432091F657364FEBF2820E877",
            ]
        );
    }

    #[test]
    fn both_readings_of_empty_values_hold() {
        let empty = [("attributes", ""), ("old_versions", "")];
        assert_eq!(signatures(&empty, whole)[0], "B55C6891CF67697A2053182F899234F0");
        assert_eq!(
            signatures(&empty, |params| canonical_text(&params.without_blanks()))[0],
            "6550B99C147C0B23FBD84D27B0048CB4"
        );
    }

    /// Returns the signatures of these parameters and an appended batch body under the three algorithms.
    fn signatures_of(params: &[(&str, &str)], appended: &str) -> Vec<String> {
        let signed = SignMethod::NAMES.map(|name| {
            let params = params.iter().copied().chain([("sign_method", name)]);
            let text = canonical_text(&params.collect()) + appended;
            hex::encode_upper(SignMethod::parse(name).unwrap().sign("helloworld", &text))
        });
        signed.to_vec()
    }

    #[test]
    fn the_vector_of_a_push_holds() {
        let push = [
            ("app_key", "12345678"),
            ("method", "yunos.miniapp.offlinepkg.push"),
            ("timestamp", "2026-01-02 03:04:05"),
            ("format", "json"),
            ("v", "2.0"),
            ("alipay_context", r#"{"havanaId":"","loginId":"","masterId":""}"#),
            (
                "req",
                r#"{"action":"preview","package_push_info":{"app_id":"111","app_type":"tinyApp","pack_url":"scheme:\/\/pkg"},"source_url":"http:\/\/src.example\/a","target_info":[{"hardware_id":"111","project_id":"projectId"}],"trace_id":"11111"}"#,
            ),
        ];
        assert_eq!(
            signatures_of(&push, ""),
            [
                "BB4E58AB465AEB3BB4B34383E5621D62",
                "3C8D95B279A8B7A7993A2685E4604570",
                "3836B08A550A2C5DD874727F5484C01EDEB140D4176E4EFE3CA2EF97E270990B",
            ]
        );
    }

    #[test]
    fn the_vector_of_a_batch_holds() {
        let query = [
            ("app_key", "12345678"),
            ("format", "json"),
            ("timestamp", "2026-01-02 03:04:05"),
            ("v", "2.0"),
        ];
        let call = |version: &str, device: &str| {
            format!(
                "method=wdk.rexout.resource.list.check&package_name=com.test.test&version_code={version}\
                 &device_id={device}&tenant_id=10000000"
            )
        };
        let body = format!("{}\r\n-S-\r\n{}", call("1", "12345"), call("2", "12346"));
        assert_eq!(
            signatures_of(&query, &body),
            [
                "26350381129954EA56BC1047142996E9",
                "E3199D7E47555EB93BCF113E98521722",
                "892A6CD12746BF173A9684A9E744BDDAA1366E1B43368376C54642841F99260D",
            ]
        );
    }

    /// Vector F: valid for one secret, invalid for any other.
    #[test]
    fn verifying_takes_either_case_and_no_other_secret() {
        let signature = "D005A231371375EF38C5F5FCF6BEB1DB";
        let more = [("attributes", "{}"), ("sign_method", "md5")];
        let text = canonical_text(&CHECK.into_iter().chain(more).collect());
        assert!(SignMethod::Md5.verify("helloworld", &text, signature));
        assert!(SignMethod::Md5.verify("helloworld", &text, &signature.to_lowercase()));
        for secret in ["helloworlds", "HELLOWORLD", "", "helloworl"] {
            assert!(!SignMethod::Md5.verify(secret, &text, signature), "{secret}");
        }
        for wrong in [
            "",
            "D005",
            "zz05A231371375EF38C5F5FCF6BEB1DB",
            &signature.repeat(2),
        ] {
            assert!(!SignMethod::Md5.verify("helloworld", &text, wrong), "{wrong}");
        }
    }
}
