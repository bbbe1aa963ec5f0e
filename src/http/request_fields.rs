//! Fields of request bodies: absent, null or given.

use serde::{Deserialize, Deserializer};

/// Member of a body: absent, null or given.
#[derive(Debug, Clone, Default)]
pub(super) enum Member<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

/// Defines the types of body fields.
macro_rules! field_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(super) struct $name<T>(pub(super) Member<T>);

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self(Member::Absent)
            }
        }

        impl<'de, T: Deserialize<'de>> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Option::deserialize(deserializer).map(|value| Self(value.map_or(Member::Null, Member::Value)))
            }
        }
    )*};
}

field_types! {
    /// Field that must be given and must not be null.
    Required;
    /// Field that may be absent, but must not be null.
    Optional;
    /// Field that may be absent or null.
    Nullable;
}

impl<T> Member<T> {
    const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<T> Required<T> {
    pub(super) const fn value(&self) -> Option<&T> {
        self.0.value()
    }
}

impl<T> Optional<T> {
    pub(super) const fn value(&self) -> Option<&T> {
        self.0.value()
    }

    pub(super) const fn is_absent(&self) -> bool {
        matches!(self.0, Member::Absent)
    }
}

impl<T> Nullable<T> {
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self.0, Member::Absent)
    }

    /// Replaces a value for which the test holds by null.
    pub(super) fn null_if(self, test: impl FnOnce(&T) -> bool) -> Self {
        match self.0 {
            Member::Value(value) if test(&value) => Self(Member::Null),
            _ => self,
        }
    }
}

/// Defines the struct of a request body from its fields.
///
/// The type of a field ([`Required`], [`Optional`] or [`Nullable`]) determines both how the body is parsed and how the API description states it.
/// The schema of the value is that of the type in brackets, or of the type after `as`.
macro_rules! request {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)* }) => {
        $crate::http::request_fields::request!(
            @fields { $(#[$meta])* $vis struct $name } {} $($fields)*
        );
    };
    (@fields { $($head:tt)* } { $($done:tt)* }) => {
        #[derive(Default, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $($head)* { $($done)* }
    };
    (@fields $head:tt $done:tt
        $(#[$meta:meta])* $vis:vis $field:ident: $kind:ident<$type:ty>, $($rest:tt)*) => {
        $crate::http::request_fields::request!(
            @fields $head $done $(#[$meta])* $vis $field: $kind<$type> as $type, $($rest)*
        );
    };
    (@fields $head:tt { $($done:tt)* }
        $(#[$meta:meta])* $vis:vis $field:ident: Required<$type:ty> as $schema:ty, $($rest:tt)*) => {
        $crate::http::request_fields::request!(
            @fields $head {
                $($done)*
                $(#[$meta])*
                #[schema(value_type = $schema)]
                $vis $field: $crate::http::request_fields::Required<$type>,
            } $($rest)*
        );
    };
    (@fields $head:tt { $($done:tt)* }
        $(#[$meta:meta])* $vis:vis $field:ident: Optional<$type:ty> as $schema:ty, $($rest:tt)*) => {
        $crate::http::request_fields::request!(
            @fields $head {
                $($done)*
                $(#[$meta])*
                #[schema(value_type = $schema)]
                #[serde(default)]
                $vis $field: $crate::http::request_fields::Optional<$type>,
            } $($rest)*
        );
    };
    (@fields $head:tt { $($done:tt)* }
        $(#[$meta:meta])* $vis:vis $field:ident: Nullable<$type:ty> as $schema:ty, $($rest:tt)*) => {
        $crate::http::request_fields::request!(
            @fields $head {
                $($done)*
                $(#[$meta])*
                #[schema(value_type = Option<$schema>)]
                #[serde(default)]
                $vis $field: $crate::http::request_fields::Nullable<$type>,
            } $($rest)*
        );
    };
}

pub(super) use request;
