//! Enrolment: issues tokens and one-time codes to single devices.

mod codes;
mod enrol;

pub use codes::{IssuedEnrolmentCode, create_code};
pub use enrol::{EnrolmentRequest, EnrolmentResult, enrol};
