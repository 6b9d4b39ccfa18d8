//! The sheet as SVG. Colours are classes, so that the picture follows a reader's dark or light scheme.

use std::fmt::Write;

use super::sheet::Sheet;
use crate::topology::model::Lab;

/// Octets of this style go into every picture: no font, no script, nothing from elsewhere.
const STYLE: &str = "
  text { font: 13px ui-sans-serif, system-ui, 'DejaVu Sans', sans-serif; fill: #0f172a }
  .lab { font-size: 17px; font-weight: 600 }
  .name { font-weight: 600 }
  .dim { fill: #64748b; font-size: 11.5px }
  .tap { font: 11px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #475569 }
  .paper { fill: #ffffff }
  .host { fill: #ffffff; stroke: #475569; stroke-width: 1.5 }
  .router { fill: #dbeafe; stroke: #2563eb; stroke-width: 2 }
  .wire { stroke-width: 2; fill: none }
  .gap { stroke: #ffffff; stroke-width: 7 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e2e8f0 } .dim { fill: #94a3b8 } .tap { fill: #cbd5e1 }
    .paper { fill: #0f172a } .gap { stroke: #0f172a }
    .host { fill: #1e293b; stroke: #94a3b8 } .router { fill: #1e3a8a; stroke: #60a5fa }
  }
";

/// Colours of buses, in turn: told apart also by those who do not see red and green (after Okabe and Ito).
const COLOURS: &[&str] = &["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

const TOP: f64 = 36.0;
const EDGE: f64 = 24.0;
const BOX_HEIGHT: f64 = 38.0;
/// From a bar to the next, without and with boxes between them.
const ROW: (f64, f64) = (52.0, 118.0);

/// Width of a text of the given size in pixels; generous, as fonts differ.
fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.6
}

/// Where things are, in pixels.
struct Frame {
    /// The middle of each column.
    columns: Vec<f64>,
    /// The bar of each row.
    rows: Vec<f64>,
    width: f64,
    height: f64,
}

impl Frame {
    fn new(sheet: &Sheet, lab: &Lab) -> Self {
        let mut widths = vec![90.0f64; sheet.columns];
        for boxed in &sheet.boxes {
            widths[boxed.column] = widths[boxed.column].max(box_width(&boxed.title, &boxed.note) + 24.0);
        }
        for tap in sheet.rows.iter().flat_map(|row| &row.taps) {
            let column = sheet.boxes[tap.node].column;
            widths[column] = widths[column].max(width(&tap.label, 11.0) * 2.0 + 20.0);
        }
        let labels = sheet.rows.iter().map(|row| width(&row.name, 13.5).max(width(&row.subnets, 11.5)));
        let margin = labels.fold(60.0, f64::max) + EDGE;
        let mut right = margin;
        let mut columns = Vec::with_capacity(widths.len());
        for width in widths {
            columns.push(right + width / 2.0);
            right += width;
        }
        let mut bottom = TOP;
        let mut rows = Vec::with_capacity(sheet.rows.len());
        for row in 0..sheet.rows.len() {
            bottom += if sheet.above(row).next().is_some() { ROW.1 } else { ROW.0 };
            rows.push(bottom);
        }
        let title = EDGE + width(&lab.name, 17.0) + width(lab.description.as_deref().unwrap_or(""), 13.0);
        let mut frame = Self { columns, rows, width: right.max(title) + EDGE, height: bottom + 44.0 };
        for (at, row) in sheet.rows.iter().enumerate().filter(|(_, row)| !row.note.is_empty()) {
            frame.width = frame.width.max(frame.note(sheet, at) + self::width(&row.note, 11.5) + 2.0 * EDGE);
        }
        frame
    }

    /// Where the note of a row begins: right of its bar and of the lines that pass it.
    fn note(&self, sheet: &Sheet, row: usize) -> f64 {
        self.columns.get(sheet.rightmost(row)).copied().unwrap_or(EDGE * 5.0) + 36.0
    }
}

fn box_width(title: &str, note: &str) -> f64 {
    (width(title, 13.5).max(width(note, 11.5)) + 24.0).max(58.0)
}

pub(super) fn draw(lab: &Lab) -> String {
    let sheet = Sheet::new(lab);
    let frame = Frame::new(&sheet, lab);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(lab, &sheet, &frame, &mut out);
    out
}

fn write(lab: &Lab, sheet: &Sheet, frame: &Frame, out: &mut String) -> std::fmt::Result {
    let (w, h) = (frame.width, frame.height);
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0} {h:.0}" width="{w:.0}" height="{h:.0}">"#
    )?;
    writeln!(out, "<title>{}</title>\n<style>{STYLE}</style>", escape(&lab.name))?;
    writeln!(out, r#"<rect class="paper" width="100%" height="100%"/>"#)?;
    let description = lab.description.as_deref().unwrap_or_default();
    let (name, description) = (escape(&lab.name), escape(description));
    writeln!(
        out,
        r#"<text class="lab" x="{EDGE}" y="34">{name} <tspan class="dim">{description}</tspan></text>"#
    )?;
    bars(sheet, frame, out)?;
    lines(sheet, frame, out)?;
    boxes(sheet, frame, out)?;
    if !sheet.apart.is_empty() {
        let text = escape(&sheet.apart.join(", "));
        writeln!(out, r#"<text class="dim" x="{EDGE}" y="{:.0}">on no bus: {text}</text>"#, h - 14.0)?;
    }
    writeln!(out, "</svg>")
}

fn colour(row: usize) -> &'static str {
    COLOURS[row % COLOURS.len()]
}

fn bars(sheet: &Sheet, frame: &Frame, out: &mut String) -> std::fmt::Result {
    for (at, row) in sheet.rows.iter().enumerate() {
        let y = frame.rows[at];
        let first = frame.columns.first().copied().unwrap_or(EDGE * 5.0);
        let (from, to) = match sheet.reach(row) {
            Some((left, right)) => (frame.columns[left] - 26.0, frame.columns[right] + 26.0),
            None => (first - 26.0, first + 26.0),
        };
        let (length, colour) = (to - from, colour(at));
        let (name, subnets) = (escape(&row.name), escape(&row.subnets));
        writeln!(out, r#"<text class="name" x="{EDGE}" y="{:.1}">{name}</text>"#, y - 4.0)?;
        writeln!(out, r#"<text class="dim" x="{EDGE}" y="{:.1}">{subnets}</text>"#, y + 11.0)?;
        writeln!(
            out,
            r#"<rect x="{from:.1}" y="{:.1}" width="{length:.1}" height="7" rx="3.5" fill="{colour}"/>"#,
            y - 3.5
        )?;
        if !row.note.is_empty() {
            let (x, note) = (frame.note(sheet, at), escape(&row.note));
            writeln!(out, r#"<text class="dim" x="{x:.1}" y="{:.1}">~ {note}</text>"#, y + 4.0)?;
        }
    }
    Ok(())
}

/// Lines from boxes to bars. Where a line only passes a bar, the bar has a gap.
fn lines(sheet: &Sheet, frame: &Frame, out: &mut String) -> std::fmt::Result {
    for (at, row) in sheet.rows.iter().enumerate() {
        let reach = sheet.reach(row);
        for boxed in sheet.below(at).filter(|boxed| boxed.rows.0 < at) {
            let on = row.taps.iter().any(|tap| std::ptr::eq(&sheet.boxes[tap.node], boxed));
            let within = reach.is_some_and(|(left, right)| (left..=right).contains(&boxed.column));
            if within && !on {
                let (x, y) = (frame.columns[boxed.column], frame.rows[at]);
                writeln!(out, r#"<path class="gap" d="M{x:.1} {:.1}v12"/>"#, y - 6.0)?;
            }
        }
    }
    for (index, boxed) in sheet.boxes.iter().enumerate() {
        let x = frame.columns[boxed.column];
        let mut y = frame.rows[boxed.rows.0] - 34.0;
        for (at, row) in sheet.rows.iter().enumerate().take(boxed.rows.1 + 1).skip(boxed.rows.0) {
            let Some(tap) = row.taps.iter().find(|tap| tap.node == index) else { continue };
            let (bar, colour) = (frame.rows[at], colour(at));
            writeln!(out, r#"<path class="wire" stroke="{colour}" d="M{x:.1} {y:.1}V{bar:.1}"/>"#)?;
            let label = escape(&tap.label);
            writeln!(out, r#"<text class="tap" x="{:.1}" y="{:.1}">{label}</text>"#, x + 7.0, bar - 11.0)?;
            y = bar;
        }
    }
    for (at, row) in sheet.rows.iter().enumerate() {
        for tap in &row.taps {
            let (x, y) = (frame.columns[sheet.boxes[tap.node].column], frame.rows[at]);
            writeln!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="5.5" fill="{}"/>"#, colour(at))?;
        }
    }
    Ok(())
}

fn boxes(sheet: &Sheet, frame: &Frame, out: &mut String) -> std::fmt::Result {
    for boxed in &sheet.boxes {
        let (x, bar) = (frame.columns[boxed.column], frame.rows[boxed.rows.0]);
        let width = box_width(&boxed.title, &boxed.note);
        let (left, top) = (x - width / 2.0, bar - 34.0 - BOX_HEIGHT);
        let (class, radius) = if boxed.forward { ("router", 10) } else { ("host", 4) };
        writeln!(
            out,
            r#"<rect class="{class}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{BOX_HEIGHT}" rx="{radius}"/>"#
        )?;
        let title = escape(&boxed.title);
        let y = if boxed.note.is_empty() { top + 23.5 } else { top + 16.5 };
        writeln!(out, r#"<text class="name" text-anchor="middle" x="{x:.1}" y="{y:.1}">{title}</text>"#)?;
        if !boxed.note.is_empty() {
            let (note, y) = (escape(&boxed.note), top + 31.0);
            writeln!(out, r#"<text class="dim" text-anchor="middle" x="{x:.1}" y="{y:.1}">{note}</text>"#)?;
        }
    }
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
