//! ZIP64 extra field, which holds the numbers that do not fit into a header.

use crate::cursor::Cursor;
use crate::error::Flaw;

const ID: u16 = 1;

/// Values of a header's extra field. Each saturated field of the header takes the next of them.
pub(super) struct ExtraField<'a>(Option<Cursor<'a>>);

impl<'a> ExtraField<'a> {
    /// Finds the ZIP64 field among the extra fields. Android's tools pad local headers with zeros, which end the search.
    pub(super) fn find(extra: &'a [u8]) -> Self {
        let mut fields = Cursor::new(extra);
        while let (Ok(id), Ok(length)) = (fields.u16(), fields.u16()) {
            match fields.take(length.into()) {
                Ok(value) if id == ID => return Self(Some(Cursor::new(value))),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        Self(None)
    }

    /// Returns the full number for a field of the header.
    pub(super) fn resolve(&mut self, field: u32) -> Result<u64, Flaw> {
        match &mut self.0 {
            Some(values) if field == u32::MAX => values.u64(),
            _ => Ok(field.into()),
        }
    }
}
