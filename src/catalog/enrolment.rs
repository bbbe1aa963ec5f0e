//! Enrolment: when a device is given a token of its own.

use serde::{Deserialize, Serialize};

use super::field::Invalid;
use super::text::ProjectId;

/// What the first enrolment of a tenant's devices takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enrolment {
    /// The tenant's device key.
    #[default]
    Key,
    /// A one-time code too.
    Code,
}

/// What a device proves with that it may enrol. The device key sits in firmware and must be assumed extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentProof {
    /// The tenant's device key and nothing else.
    DeviceKey,
    /// The device's newest token.
    OwnToken,
    /// A one-time code that somebody of the tenant made for this device.
    Code,
}

/// What is known of the id that is to be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolmentSubject<'a> {
    pub project: Option<&'a ProjectId>,
    /// Whether the id holds a token, or did until somebody revoked it.
    pub is_guarded: bool,
}

/// Why a device is not enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentRefusal {
    AlreadyEnrolled,
    /// An import or an earlier enrolment has given another project.
    OtherProject,
    /// The tenant wants a code.
    CodeNeeded,
}

impl Enrolment {
    pub const ALL: [Self; 2] = [Self::Key, Self::Code];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Code => "code",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|enrolment| enrolment.as_str() == text)
            .ok_or_else(|| Invalid::new("must be one of key, code"))
    }

    /// Whether a device may enrol for a project. With the device key alone only an id may that nobody holds, and only
    /// for the project that it is known to have.
    pub fn admits(
        self,
        proof: EnrolmentProof,
        subject: EnrolmentSubject<'_>,
        project: &ProjectId,
    ) -> Result<(), EnrolmentRefusal> {
        if proof != EnrolmentProof::DeviceKey {
            return Ok(());
        }
        if subject.is_guarded {
            return Err(EnrolmentRefusal::AlreadyEnrolled);
        }
        if self == Self::Code {
            return Err(EnrolmentRefusal::CodeNeeded);
        }
        if subject.project.is_some_and(|known| known != project) {
            return Err(EnrolmentRefusal::OtherProject);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::EnrolmentRefusal::{AlreadyEnrolled, CodeNeeded, OtherProject};
    use super::*;

    #[test]
    fn the_device_key_alone_enrols_what_nobody_holds_for_its_own_project() {
        let (stores, depots) = (
            ProjectId::parse("stores").unwrap(),
            ProjectId::parse("depots").unwrap(),
        );
        for (project, is_guarded, by_key, by_code) in [
            (None, false, Ok(()), Err(CodeNeeded)),
            (Some(&stores), false, Ok(()), Err(CodeNeeded)),
            (Some(&depots), false, Err(OtherProject), Err(CodeNeeded)),
            (None, true, Err(AlreadyEnrolled), Err(AlreadyEnrolled)),
            (Some(&stores), true, Err(AlreadyEnrolled), Err(AlreadyEnrolled)),
            (Some(&depots), true, Err(AlreadyEnrolled), Err(AlreadyEnrolled)),
        ] {
            let subject = EnrolmentSubject { project, is_guarded };
            for (enrolment, expected) in [(Enrolment::Key, by_key), (Enrolment::Code, by_code)] {
                let admitted = enrolment.admits(EnrolmentProof::DeviceKey, subject, &stores);
                assert_eq!(admitted, expected, "{enrolment:?} {subject:?}");
                for proof in [EnrolmentProof::OwnToken, EnrolmentProof::Code] {
                    assert_eq!(enrolment.admits(proof, subject, &stores), Ok(()));
                }
            }
        }
    }
}
