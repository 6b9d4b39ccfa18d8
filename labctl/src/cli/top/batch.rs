//! Tables as plain text, one after the other: for files, pipes, and terminals that can nothing else.

use super::columns::{BusColumn, Column, NodeColumn};
use super::rates::{Meter, Report};
use super::sampler::Sampler;
use super::{Pace, draw, json};
use crate::cli::{Exit, Failure, Output, ps};
use crate::lab::interrupt::Interrupt;
use crate::ui::Table;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Instant;

/// Until enough were printed, Ctrl-C, or the lab's end.
pub(super) fn run(mut sampler: Sampler, pace: Pace, json: bool, out: &mut Output) -> Result<Exit, Failure> {
    let interrupt = Interrupt::catch()?;
    let mut meter = Meter::default();
    let (mut looks, mut next) = (0, Instant::now());
    loop {
        let report = meter.report(sampler.look(pace.interval)?);
        looks += 1;
        if looks > pace.skip {
            if json {
                out.json(&json::object(&report))?;
            } else {
                let gap = if looks > pace.skip + 1 { "\n" } else { "" };
                write!(out, "{gap}{}", text(&report))?;
            }
            out.flush()?;
        }
        if pace.count.is_some_and(|count| looks >= count.saturating_add(pace.skip)) {
            return Ok(Exit::Done);
        }
        next = (next + pace.interval).max(Instant::now());
        if interrupt.pending() || !interrupt.sleep(next.saturating_duration_since(Instant::now()))? {
            return Ok(Exit::Done);
        }
    }
}

/// A screen without its arts.
fn text(report: &Report) -> String {
    let mut text = format!("{}\n", draw::head(report));
    let _ = write!(text, "{}\n{}", table::<NodeColumn>(&report.nodes), table::<BusColumn>(&report.buses));
    if !report.programs.is_empty() {
        let _ = write!(text, "\n{}", ps::table_of(&report.programs));
    }
    text
}

fn table<C: Column>(rows: &[C::Row]) -> Table {
    let columns: Vec<C> = C::ALL.iter().copied().filter(|column| !column.is_elastic()).collect();
    let titles: Vec<_> = columns.iter().map(|column| (column.title(), column.align())).collect();
    let mut table = Table::new(&titles);
    for row in rows {
        table.row(columns.iter().map(|column| column.cell(row, 0)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::example;

    #[test]
    fn all_columns_stand_in_lines() {
        insta::assert_snapshot!(text(&example::report()));
    }
}
