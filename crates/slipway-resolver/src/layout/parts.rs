//! List of an app's parts. Most apps have a single part, which needs no allocation of its own.

use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::LayoutError;
use super::part::{AppPart, Position};

/// Parts in the order of an answer; at least one.
#[derive(Debug)]
pub(crate) enum Parts {
    One(AppPart),
    Many(Box<[Arc<AppPart>]>),
}

/// Parts of an app, one by one.
pub(crate) enum PartIter<'a> {
    One(slice::Iter<'a, AppPart>),
    Many(slice::Iter<'a, Arc<AppPart>>),
}

impl<'a> Iterator for PartIter<'a> {
    type Item = &'a AppPart;

    fn next(&mut self) -> Option<&'a AppPart> {
        match self {
            Self::One(parts) => parts.next(),
            Self::Many(parts) => parts.next().map(AsRef::as_ref),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::One(parts) => parts.size_hint(),
            Self::Many(parts) => parts.size_hint(),
        }
    }
}

impl Parts {
    /// Creates the list from parts of which one at least exists. Those without resources are left out if others exist.
    pub(super) fn of(mut parts: Vec<AppPart>) -> Result<Self, LayoutError> {
        if parts.len() > 1 {
            return Self::of_shared(parts.into_iter().map(Arc::new).collect());
        }
        parts
            .pop()
            .map(Self::One)
            .ok_or(LayoutError::InvalidReference("parts"))
    }

    pub(super) fn of_shared(mut parts: Vec<Arc<AppPart>>) -> Result<Self, LayoutError> {
        if parts.iter().any(|part| !part.resources.is_empty()) {
            parts.retain(|part| !part.resources.is_empty());
        }
        let is_sorted = parts.is_sorted_by(|a, b| a.first_position() < b.first_position());
        if !is_sorted {
            return Err(LayoutError::OutOfOrder("parts"));
        }
        if parts.len() > 1 {
            return Ok(Self::Many(parts.into()));
        }
        let part = parts.pop().ok_or(LayoutError::InvalidReference("parts"))?;
        // A part that an earlier state of the app shares stays where it is.
        Ok(Arc::try_unwrap(part).map_or_else(|part| Self::Many([part].into()), Self::One))
    }

    pub(crate) fn iter(&self) -> PartIter<'_> {
        match self {
            Self::One(part) => PartIter::One(slice::from_ref(part).iter()),
            Self::Many(parts) => PartIter::Many(parts.iter()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(parts) => parts.len(),
        }
    }

    /// Returns the part with this index for another state of the app; `None` if it cannot be shared or is absent.
    pub(super) fn share(&self, index: usize) -> Option<Arc<AppPart>> {
        match self {
            Self::One(_) => None,
            Self::Many(parts) => parts.get(index).cloned(),
        }
    }

    /// Returns the index of the part that has a resource, or would have it.
    pub(super) fn index_of(&self, position: Position<'_>) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many(parts) => {
                let after = parts.partition_point(|part| part.first_position() <= Some(position));
                after.saturating_sub(1)
            }
        }
    }

    /// Returns the indexes of the parts that other states can share.
    pub(super) fn shareable(&self) -> HashMap<*const AppPart, usize> {
        match self {
            Self::Many(parts) if parts.len() > 1 => parts.iter().map(Arc::as_ptr).zip(0..).collect(),
            // A single part is read back as one that is not shared.
            Self::One(_) | Self::Many(_) => HashMap::new(),
        }
    }
}

impl Serialize for Parts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
