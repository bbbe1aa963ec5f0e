//! Tables as CSV (RFC 4180), written and read.

use crate::console::page_error::PageError;
use crate::services::ServiceError;

/// First characters of a cell that a spreadsheet would take for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Table under construction.
pub(super) struct Table(csv::Writer<Vec<u8>>);

impl Default for Table {
    fn default() -> Self {
        Self(csv::WriterBuilder::new().flexible(true).from_writer(Vec::new()))
    }
}

impl Table {
    pub(super) fn row(&mut self, cells: &[&str]) -> Result<(), PageError> {
        let cells = cells.iter().map(|cell| neutral(cell));
        self.0
            .write_record(cells)
            .map_err(|error| ServiceError::internal(error).into())
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, PageError> {
        let text = self.0.into_inner();
        text.map_err(|error| ServiceError::internal(std::io::Error::other(error.to_string())).into())
    }
}

/// Puts an apostrophe before a cell that a spreadsheet would calculate. The text may come from a device.
fn neutral(cell: &str) -> String {
    if cell.starts_with(FORMULA) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// Takes the apostrophe off that [`Table`] put before a cell.
pub(super) fn plain(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('\'')
        .filter(|rest| rest.starts_with(FORMULA))
        .unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_neutralised_and_read_back() {
        let mut table = Table::default();
        table
            .row(&["=1+1", "@x", "-2", "a,b", "say \"hi\"", "'quoted"])
            .unwrap();
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        assert_eq!(text, "'=1+1,'@x,'-2,\"a,b\",\"say \"\"hi\"\"\",'quoted\n");
        assert_eq!(plain("'=1+1"), "=1+1");
        assert_eq!(plain("'quoted"), "'quoted");
        assert_eq!(plain(" x "), "x");
    }
}
