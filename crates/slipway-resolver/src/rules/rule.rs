//! Rules that determine the verdict on a release.

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// Rule that determined the verdict on a release.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the rule's name in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

rules! {
    /// Step 1: the tenant is switched off.
    TenantOff => "tenant_off",
    /// Step 1: the app is switched off.
    AppOff => "app_off",
    /// Step 1: the resource is switched off.
    ResourceOff => "resource_off",
    /// Step 2: the release is not published.
    State => "state",
    /// Step 2: the release has not started.
    StartsAt => "starts_at",
    /// Step 2: the release has ended.
    EndsAt => "ends_at",
    /// Step 3: the host version is outside the range.
    HostVersion => "host_version",
    /// Step 3: the device type is not listed, or was not sent.
    DeviceType => "device_type",
    /// Step 3: the device's API level is below the minimum of the file.
    MinSdk => "min_sdk",
    /// Step 3: no scope matches, or an exclusion matches that is at least as specific.
    Org => "org",
    /// Step 3: an attribute rule is false.
    Attributes => "attributes",
    /// Step 3: the device is outside the rollout.
    Rollout => "rollout",
    /// Step 3: the node is stale and withholds partial rollouts.
    Stale => "stale",
    /// Step 4: a pin forbids the version.
    Pin => "pin",
    /// Step 4: the artifact is damaged or missing, or the node knows no address for it.
    FileUnavailable => "file_unavailable",
    /// Step 5: a newer release passes.
    NewerPasses => "newer_passes",
    /// Step 6: a floor must be installed first.
    Floor => "floor",
    /// Step 7: the release is newer than the installed version.
    Newer => "newer",
    /// Step 7: the release is already installed.
    Installed => "installed",
    /// Step 7: the release is installed with another digest, and the resource repairs mismatches.
    Repair => "repair",
    /// Step 7: the release is older than the installed version.
    InstalledIsNewer => "installed_is_newer",
    /// Step 7: the release is older than the installed version, which was recalled with rollback.
    Rollback => "rollback",
    /// Step 7: the release is installed, and was recalled with removal.
    Removal => "removal",
}

/// Fact about a release that a step of the decision examines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    Switches,
    State,
    Window,
    HostVersion,
    DeviceType,
    MinSdk,
    Org,
    Attributes,
    Rollout,
    Pin,
    File,
    Newest,
    Floor,
    Installed,
}

impl Criterion {
    pub const ALL: [Self; 14] = [
        Self::Switches,
        Self::State,
        Self::Window,
        Self::HostVersion,
        Self::DeviceType,
        Self::MinSdk,
        Self::Org,
        Self::Attributes,
        Self::Rollout,
        Self::Pin,
        Self::File,
        Self::Newest,
        Self::Floor,
        Self::Installed,
    ];

    /// Returns the number of the step that examines it.
    pub const fn step(self) -> usize {
        match self {
            Self::Switches => 1,
            Self::State | Self::Window => 2,
            Self::HostVersion
            | Self::DeviceType
            | Self::MinSdk
            | Self::Org
            | Self::Attributes
            | Self::Rollout => 3,
            Self::Pin | Self::File => 4,
            Self::Newest => 5,
            Self::Floor => 6,
            Self::Installed => 7,
        }
    }
}

impl Rule {
    /// Returns the criterion that determined the verdict.
    pub const fn criterion(self) -> Criterion {
        match self {
            Self::TenantOff | Self::AppOff | Self::ResourceOff => Criterion::Switches,
            Self::State => Criterion::State,
            Self::StartsAt | Self::EndsAt => Criterion::Window,
            Self::HostVersion => Criterion::HostVersion,
            Self::DeviceType => Criterion::DeviceType,
            Self::MinSdk => Criterion::MinSdk,
            Self::Org => Criterion::Org,
            Self::Attributes => Criterion::Attributes,
            Self::Rollout | Self::Stale => Criterion::Rollout,
            Self::Pin => Criterion::Pin,
            Self::FileUnavailable => Criterion::File,
            Self::NewerPasses => Criterion::Newest,
            Self::Floor => Criterion::Floor,
            Self::Newer
            | Self::Installed
            | Self::Repair
            | Self::InstalledIsNewer
            | Self::Rollback
            | Self::Removal => Criterion::Installed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_have_the_order_of_the_rules_and_of_the_steps() {
        let mut criteria: Vec<_> = Rule::ALL.iter().map(|rule| rule.criterion()).collect();
        criteria.dedup();
        assert_eq!(criteria, Criterion::ALL);
        assert!(criteria.is_sorted_by_key(|criterion| criterion.step()));
    }
}
