//! Inspection of an uploaded file, off the request threads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use slipway_package::{Inspection, InspectionError, Limits, SigningScheme as Scheme, inspect};

use crate::artifact_store::ReceivedFile;
use crate::services::{Context, ServiceError};
use crate::timer;
use slipway_domain::catalog::artifact::{
    ApkFacts, ArtifactFacts, HapFacts, IconFormat, SigningFacts, SigningScheme, ZipFacts,
};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::text::Sha256;

/// Time limit of an inspection. Reading the largest file for the digests of its signatures takes most of it.
const TIME_LIMIT: Duration = Duration::from_mins(2);

/// Facts of a file, and its icon.
pub(super) struct FileFacts {
    pub(super) facts: ArtifactFacts,
    pub(super) icon: Option<(IconFormat, Vec<u8>)>,
}

/// Reads the facts of a file. A package that is damaged or contradicts itself is an invalid field.
pub(super) async fn read_facts(
    ctx: &Context,
    tenant: TenantId,
    received: &ReceivedFile,
) -> Result<FileFacts, ServiceError> {
    let file = received.reader()?;
    let limits = Limits {
        file_bytes: ctx.artifacts().settings.max_bytes,
        ..Limits::default()
    };
    let inspection = async move || {
        let reader = TimedReader {
            file,
            deadline: timer::now() + TIME_LIMIT,
        };
        inspect(reader, &limits)
    };
    let inspected = ctx.workload().heavy_calls.run(Some(tenant), inspection).await?;
    match inspected {
        Ok(inspection) => convert(inspection),
        Err(InspectionError::Read(error)) if error.kind() == io::ErrorKind::TimedOut => {
            let message = format!("cannot be inspected within {} s", TIME_LIMIT.as_secs());
            Err(ServiceError::invalid("file", message))
        }
        Err(InspectionError::Read(error)) => Err(ServiceError::internal(error)),
        Err(error @ InspectionError::Invalid { .. }) => Err(ServiceError::invalid(
            "file",
            format!("is not a valid package: {error}"),
        )),
    }
}

/// File whose reads fail after a deadline.
struct TimedReader {
    file: File,
    deadline: Instant,
}

impl TimedReader {
    fn require_time(&self) -> io::Result<()> {
        if timer::now() < self.deadline {
            Ok(())
        } else {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

impl Read for TimedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.require_time()?;
        self.file.read(buffer)
    }
}

impl Seek for TimedReader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.require_time()?;
        self.file.seek(position)
    }
}

fn convert(inspection: Inspection) -> Result<FileFacts, ServiceError> {
    let mut icon = None;
    let facts = match inspection {
        Inspection::Apk(apk) => {
            icon = apk.icon.and_then(|icon| {
                let format = IconFormat::parse(icon.media_type).ok()?;
                Some((format, icon.bytes))
            });
            ArtifactFacts::Apk(Box::new(ApkFacts {
                package_name: apk.package_name,
                version_code: apk.version_code,
                version_name: apk.version_name,
                min_sdk: apk.min_sdk,
                target_sdk: apk.target_sdk,
                abis: apk.abis,
                label: apk.label,
                labels: apk.labels,
                signing: SigningFacts {
                    schemes: apk.signing.schemes.into_iter().map(convert_scheme).collect(),
                    signers: convert_digests(&apk.signing.signers)?,
                    lineage: convert_digests(&apk.signing.lineage)?,
                    signers_verified: apk.signing.is_verified,
                },
                debuggable: apk.debuggable,
                test_only: apk.test_only,
                split: apk.split,
            }))
        }
        Inspection::Hap(hap) => ArtifactFacts::Hap(HapFacts {
            bundle_name: hap.bundle_name,
            version_code: hap.version_code,
            version_name: hap.version_name,
            device_types: hap.device_types,
        }),
        Inspection::Zip(zip) => ArtifactFacts::Zip(ZipFacts {
            entries: zip.entries,
            unpacked_bytes: zip.unpacked_bytes,
        }),
        Inspection::Other => ArtifactFacts::Other,
    };
    Ok(FileFacts { facts, icon })
}

const fn convert_scheme(scheme: Scheme) -> SigningScheme {
    match scheme {
        Scheme::V1 => SigningScheme::V1,
        Scheme::V2 => SigningScheme::V2,
        Scheme::V3 => SigningScheme::V3,
    }
}

fn convert_digests(digests: &[slipway_package::CertificateDigest]) -> Result<Vec<Sha256>, ServiceError> {
    digests
        .iter()
        .map(|digest| Sha256::parse(&digest.to_string()).map_err(ServiceError::internal))
        .collect()
}
