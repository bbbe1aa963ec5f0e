//! Enrolment: the conditions under which a device gets a token of its own.

use serde::{Deserialize, Serialize};

use super::closed_list::parse_name;
use super::field::Invalid;
use super::text::ProjectId;

/// Credential required for the first enrolment of a tenant's devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnrolmentPolicy {
    /// The tenant's device key.
    #[default]
    Key,
    /// The tenant's device key and a one-time code.
    Code,
}

/// Credential with which a device enrols. The device key is in the firmware and must be assumed to be extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentProof {
    /// Only the tenant's device key.
    DeviceKey,
    /// The device's newest token.
    OwnToken,
    /// A one-time code that a user of the tenant created for this device.
    Code,
}

/// Stored state of the device id to be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolmentSubject<'a> {
    pub project: Option<&'a ProjectId>,
    /// The id has a token, or had one until it was revoked.
    pub has_had_token: bool,
}

/// Reason for refusing an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentRefusal {
    AlreadyEnrolled,
    /// An import or an earlier enrolment has set another project.
    OtherProject,
    /// The tenant requires a code.
    CodeNeeded,
}

/// State of the newest token of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceTokenState {
    Valid,
    /// The token was revoked, because the device may be in other hands.
    Revoked,
    /// The device was deleted.
    Forgotten,
}

impl DeviceTokenState {
    pub const ALL: [Self; 3] = [Self::Valid, Self::Revoked, Self::Forgotten];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Revoked => "revoked",
            Self::Forgotten => "forgotten",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }
}

impl EnrolmentPolicy {
    pub const ALL: [Self; 2] = [Self::Key, Self::Code];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Code => "code",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }

    /// Checks that a device may enrol for a project. The device key alone is enough only for an id without a token, and
    /// only for the id's known project.
    pub fn admits(
        self,
        proof: EnrolmentProof,
        subject: EnrolmentSubject<'_>,
        project: &ProjectId,
    ) -> Result<(), EnrolmentRefusal> {
        if proof != EnrolmentProof::DeviceKey {
            return Ok(());
        }
        if subject.has_had_token {
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
        for (project, has_had_token, by_key, by_code) in [
            (None, false, Ok(()), Err(CodeNeeded)),
            (Some(&stores), false, Ok(()), Err(CodeNeeded)),
            (Some(&depots), false, Err(OtherProject), Err(CodeNeeded)),
            (None, true, Err(AlreadyEnrolled), Err(AlreadyEnrolled)),
            (Some(&stores), true, Err(AlreadyEnrolled), Err(AlreadyEnrolled)),
            (Some(&depots), true, Err(AlreadyEnrolled), Err(AlreadyEnrolled)),
        ] {
            let subject = EnrolmentSubject {
                project,
                has_had_token,
            };
            for (enrolment, expected) in [(EnrolmentPolicy::Key, by_key), (EnrolmentPolicy::Code, by_code)] {
                let admitted = enrolment.admits(EnrolmentProof::DeviceKey, subject, &stores);
                assert_eq!(admitted, expected, "{enrolment:?} {subject:?}");
                for proof in [EnrolmentProof::OwnToken, EnrolmentProof::Code] {
                    assert_eq!(enrolment.admits(proof, subject, &stores), Ok(()));
                }
            }
        }
    }
}
