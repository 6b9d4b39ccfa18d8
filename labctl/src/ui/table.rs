//! Columns of text, aligned, two spaces apart; nothing is drawn between them, as `ps`, `ip` and `docker` do.

use std::fmt;

/// To which side a column leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table whose first row is the columns' titles; no titles, no row.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let titles: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let rows = if titles.iter().all(String::is_empty) { Vec::new() } else { vec![titles] };
        Self { columns: columns.iter().map(|(_, align)| *align).collect(), rows }
    }

    /// Adds a row; cells that are missing are empty.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.columns).zip(&widths) {
                if !line.is_empty() || width == &0 {
                    line.push_str("  ");
                }
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}")),
                    Align::Right => line.push_str(&format!("{cell:>width$}")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let mut table = Table::new(&[("NODE", Align::Left), ("PID", Align::Right), ("IF", Align::Left)]);
        table.row(["h1", "7", "eth0"]);
        table.row(["router", "12345", ""]);
        table.row(["x"]);
        assert_eq!(table.to_string(), "NODE      PID  IF\nh1          7  eth0\nrouter  12345\nx\n");
    }

    #[test]
    fn without_titles_there_is_no_first_row() {
        let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
        table.row(["a", "b"]);
        assert_eq!(table.to_string(), "a  b\n");
    }
}
