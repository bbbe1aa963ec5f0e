//! Typed values of attributes and resources.

use crate::cursor::Cursor;
use crate::error::Flaw;

/// Value of an attribute or a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    /// Id of a resource.
    Reference(u32),
    /// Index into the string pool.
    String(u32),
    Integer(u32),
    Boolean(bool),
    /// A type that no fact has: a dimension, a colour, an attribute of a theme.
    Other,
}

impl Value {
    /// Reads `Res_value`.
    pub(super) fn read(rest: &mut Cursor<'_>) -> Result<Self, Flaw> {
        let _size = rest.u16()?;
        let _zero = rest.u8()?;
        let kind = rest.u8()?;
        Ok(Self::of(kind, rest.u32()?))
    }

    pub(super) fn of(kind: u8, data: u32) -> Self {
        match kind {
            0x00 => Self::Null,
            0x01 | 0x07 => Self::Reference(data),
            0x03 => Self::String(data),
            0x10 | 0x11 => Self::Integer(data),
            0x12 => Self::Boolean(data != 0),
            _ => Self::Other,
        }
    }
}
