//! The sheet in box-drawing characters.
//!
//! ```text
//!                ╭────╮   ┏━━━━┓
//!                │ h1 │   ┃ r1 ┃
//!                ╰──┬─╯   ┗━━┳━┛
//! left              │eth0 .2 │eth0 .1
//! 10.0.1.0/24  ═════╧════════╪═════
//! ```
//! Routers have heavy boxes. `╪` is a node on the bus that goes on, `┊` one that only passes.

use super::sheet::{Boxed, Sheet};
use crate::topology::model::Lab;

/// A grid of characters that grows to the right.
#[derive(Default)]
struct Line(Vec<char>);

impl Line {
    fn put(&mut self, at: usize, text: &str) {
        for (i, c) in text.chars().enumerate() {
            if self.0.len() <= at + i {
                self.0.resize(at + i + 1, ' ');
            }
            self.0[at + i] = c;
        }
    }

    fn end(self, out: &mut String) {
        let text: String = self.0.into_iter().collect();
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

/// Where things are, in characters.
struct Frame {
    /// Width of the names of buses.
    margin: usize,
    /// Where each column begins, and how wide it is.
    columns: Vec<(usize, usize)>,
}

impl Frame {
    fn new(sheet: &Sheet) -> Self {
        let width = |text: &str| text.chars().count();
        let margin =
            sheet.rows.iter().map(|row| width(&row.name).max(width(&row.subnets))).max().unwrap_or(0) + 2;
        let mut widths = vec![0; sheet.columns];
        for boxed in &sheet.boxes {
            widths[boxed.column] = widths[boxed.column].max(width(&boxed.title).max(width(&boxed.note)) + 6);
        }
        for tap in sheet.rows.iter().flat_map(|row| &row.taps) {
            // The label stands right of the line, which is in the middle of the column.
            let column = sheet.boxes[tap.node].column;
            widths[column] = widths[column].max(2 * width(&tap.label) + 3);
        }
        let mut at = margin;
        let place = |width: &usize| {
            at += width;
            (at - width, *width)
        };
        Self { margin, columns: widths.iter().map(place).collect() }
    }

    fn middle(&self, column: usize) -> usize {
        let (at, width) = self.columns[column];
        at + width / 2
    }
}

pub(super) fn draw(lab: &Lab) -> String {
    let sheet = Sheet::new(lab);
    let frame = Frame::new(&sheet);
    let mut out = String::new();
    for (at, row) in sheet.rows.iter().enumerate() {
        boxes(&sheet, &frame, at, &mut out);
        let mut labels = Line::default();
        labels.put(0, &row.name);
        let coming = sheet.boxes.iter().filter(|boxed| boxed.rows.0 <= at && boxed.rows.1 >= at);
        for boxed in coming {
            labels.put(frame.middle(boxed.column), "│");
        }
        for tap in &row.taps {
            labels.put(frame.middle(sheet.boxes[tap.node].column) + 1, &tap.label);
        }
        labels.end(&mut out);
        bar(&sheet, &frame, at, &mut out);
    }
    if !sheet.apart.is_empty() {
        out.push_str(&format!("\non no bus: {}\n", sheet.apart.join(", ")));
    }
    out
}

/// The lines that go on below a bar.
fn passing(sheet: &Sheet, frame: &Frame, row: usize, line: &mut Line) {
    for boxed in sheet.below(row) {
        line.put(frame.middle(boxed.column), "│");
    }
}

/// The boxes above a bar, and the lines that pass them.
fn boxes(sheet: &Sheet, frame: &Frame, row: usize, out: &mut String) {
    let above: Vec<&Boxed> = sheet.above(row).collect();
    if above.is_empty() {
        return;
    }
    let notes = above.iter().any(|boxed| !boxed.note.is_empty());
    let mut lines: Vec<Line> = (0..if notes { 4 } else { 3 }).map(|_| Line::default()).collect();
    if row > 0 {
        for line in &mut lines {
            passing(sheet, frame, row - 1, line);
        }
    }
    for boxed in above {
        let [top_left, top_right, side, bottom_left, bottom_right, tee] = if boxed.forward {
            ['┏', '┓', '┃', '┗', '┛', '┳']
        } else {
            ['╭', '╮', '│', '╰', '╯', '┬']
        };
        let edge = if boxed.forward { "━" } else { "─" };
        let inner = boxed.title.chars().count().max(boxed.note.chars().count()) + 2;
        let middle = frame.middle(boxed.column);
        let left = middle - (inner + 2) / 2;
        let edges = edge.repeat(inner);
        let last = lines.len() - 1;
        lines[0].put(left, &format!("{top_left}{edges}{top_right}"));
        lines[1].put(left, &format!("{side}{:^inner$}{side}", boxed.title));
        if notes {
            lines[2].put(left, &format!("{side}{:^inner$}{side}", boxed.note));
        }
        lines[last].put(left, &format!("{bottom_left}{edges}{bottom_right}"));
        lines[last].put(middle, &tee.to_string());
    }
    for line in lines {
        line.end(out);
    }
}

fn bar(sheet: &Sheet, frame: &Frame, at: usize, out: &mut String) {
    let row = &sheet.rows[at];
    let mut line = Line::default();
    let reach = sheet.reach(row);
    let (from, to) = reach.map_or((frame.margin, frame.margin + 6), |(first, last)| {
        (frame.middle(first).saturating_sub(3), frame.middle(last) + 4)
    });
    line.put(from, &"═".repeat(to - from));
    for boxed in sheet.below(at) {
        let middle = frame.middle(boxed.column);
        line.put(middle, if (from..to).contains(&middle) { "┊" } else { "│" });
    }
    for tap in &row.taps {
        let boxed = &sheet.boxes[tap.node];
        line.put(frame.middle(boxed.column), if boxed.rows.1 > at { "╪" } else { "╧" });
    }
    line.put(0, &row.subnets);
    if !row.note.is_empty() {
        let free = line.0.len();
        line.put(free, &format!("  ~ {}", row.note));
    }
    line.end(out);
}
