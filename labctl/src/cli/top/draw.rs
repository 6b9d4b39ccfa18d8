//! Paints the screen: a line that says how the lab is, the nodes, the buses, the programs of the selected node, and the keys.

use super::columns::{self, Column};
use super::rates::Report;
use super::screen::{Focus, List, Screen};
use crate::lab::program::Shown;
use crate::topology::render::plural;
use crate::ui::{Align, Table};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// The keys, the most useful first.
const KEYS: [(&str, &str); 6] =
    [("q", "quit"), ("Tab", "table"), ("↑↓", "select"), ("s", "sort"), ("r", "reverse"), ("p", "pause")];

/// How things are told apart: by colours too where these are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colour: bool,
}

impl Look {
    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
    /// As a failed check.
    fn alarm(self) -> Style {
        self.coloured(Color::Red)
    }
    fn good(self) -> Style {
        self.coloured(Color::Green)
    }
    fn faint(self) -> Style {
        if self.colour { Style::new().add_modifier(Modifier::DIM) } else { Style::new() }
    }
}

/// What the head line says of the lab.
pub(super) fn head(report: &Report) -> String {
    let seconds = report.age.as_secs();
    let (days, clock) = (seconds / 86_400, hms(seconds));
    let age = if days > 0 { format!("{days}d {clock}") } else { clock };
    format!(
        "{}: {} of {} running, {}, up {age}",
        report.lab,
        report.running(),
        plural(report.nodes.len(), "node"),
        plural(report.buses.len(), "bus")
    )
}

/// The time of day of so many seconds.
fn hms(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Paints it all; `now` are the seconds of the host's clock, UTC.
pub(super) fn screen(frame: &mut Frame<'_>, screen: &mut Screen, now: u64, look: Look) {
    let area = frame.area();
    let rooms = Rooms::of(area, screen);
    head_line(frame, rooms.head, screen, now, look);
    let Screen { focus, nodes, buses, report, .. } = screen;
    table(frame, rooms.nodes, nodes, &report.nodes, *focus == Focus::Nodes, look);
    table(frame, rooms.buses, buses, &report.buses, *focus == Focus::Buses, look);
    if rooms.programs.height > 0
        && let Some(node) = nodes.selected(&report.nodes)
    {
        programs(frame, rooms.programs, &node.name, &report.programs, look);
    }
    foot_line(frame, rooms.foot, look);
}

/// Where everything stands.
struct Rooms {
    head: Rect,
    nodes: Rect,
    buses: Rect,
    programs: Rect,
    foot: Rect,
}

impl Rooms {
    /// Each table has what it needs, if that is there; else the buses have a third, and the programs a sixth.
    fn of(area: Rect, screen: &Screen) -> Self {
        let report = &screen.report;
        let lines = |count: usize| u16::try_from(count + 1).unwrap_or(u16::MAX);
        let room = area.height.saturating_sub(2);
        let node = screen.nodes.selected(&report.nodes).map(|node| node.name.as_str());
        let running = report.programs.iter().filter(|program| Some(program.node.as_str()) == node).count();
        let programs = if running == 0 { 0 } else { lines(running).min((room / 6).max(2)) };
        // Between two tables a line is left where there are lines enough.
        let gap = u16::from(room >= 16);
        let gaps = if programs > 0 { 2 * gap } else { gap };
        let room = room.saturating_sub(programs + gaps);
        let buses =
            lines(report.buses.len()).min((room / 3).max(room.saturating_sub(lines(report.nodes.len()))));
        let nodes = room.saturating_sub(buses).min(lines(report.nodes.len()));
        let mut top = area.y;
        let mut next = |height: u16, gap: u16| {
            let y = top.min(area.bottom());
            top = top.saturating_add(height).saturating_add(gap);
            Rect { y, height: height.min(area.bottom() - y), ..area }
        };
        let (head, nodes, buses) = (next(1, 0), next(nodes, gap), next(buses, gap));
        let programs = next(programs, 0);
        let foot = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
        Self { head, nodes, buses, programs, foot }
    }
}

/// One line of the area.
fn line(frame: &mut Frame<'_>, area: Rect, at: usize, line: Line<'_>) {
    if let Ok(at) = u16::try_from(at)
        && at < area.height
    {
        frame.render_widget(line, Rect { y: area.y + at, height: 1, ..area });
    }
}

fn head_line(frame: &mut Frame<'_>, area: Rect, screen: &Screen, now: u64, look: Look) {
    let report = &screen.report;
    let all = report.running() == report.nodes.len();
    let said = head(report);
    let (lab, rest) = said.split_at(report.lab.len());
    let right = format!("{}{} UTC", if screen.paused { "paused  " } else { "" }, hms(now));
    let room = usize::from(area.width);
    let mut spans = vec![
        Span::styled(lab.to_owned(), Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(rest.to_owned(), if all { Style::new() } else { look.alarm() }),
    ];
    // The clock has to go first, but not the word that nothing moves.
    let shown = [right.as_str(), if screen.paused { "paused" } else { "" }];
    let shown =
        shown.into_iter().find(|right| said.chars().count() + 2 + right.len() <= room).unwrap_or_default();
    spans.push(Span::raw(" ".repeat(room.saturating_sub(said.chars().count() + shown.len()))));
    let style = if screen.paused { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
    spans.push(Span::styled(shown.to_owned(), style));
    line(frame, area, 0, Line::from(spans));
}

fn table<C: Column>(
    frame: &mut Frame<'_>,
    area: Rect,
    list: &mut List<C>,
    rows: &[C::Row],
    focused: bool,
    look: Look,
) {
    if area.height == 0 {
        return;
    }
    let placed = columns::place::<C>(rows, usize::from(area.width));
    let order = list.order(rows);
    let (seen, selected) = list.window(rows, &order, usize::from(area.height) - 1);
    let mut head = Modifier::BOLD;
    head.set(Modifier::REVERSED, focused);
    let mut titles = titles(&placed, list.sort.map(|column| (column, if list.reversed { '▲' } else { '▼' })));
    // Where the lines are, if not all are to be seen.
    if seen.len() < rows.len() {
        let place = format!("{}-{} of {}", seen.start + 1, seen.end, rows.len());
        let used = titles.trim_end().chars().count();
        let room = usize::from(area.width).saturating_sub(used);
        if room > place.len() {
            titles.truncate(titles.trim_end().len());
            titles.push_str(&format!("{place:>room$}"));
        }
    }
    let width = usize::from(area.width);
    line(frame, area, 0, Line::styled(format!("{titles:<width$}"), Style::new().add_modifier(head)));
    for (at, place) in (1..).zip(seen) {
        let row = &rows[order[place]];
        let mut spans: Vec<Span<'_>> = Vec::new();
        for (column, width) in &placed {
            let cell = column.cell(row, *width);
            let style = match () {
                () if column.is_alarm(row) => look.alarm(),
                () if column.is_elastic() => look.good(),
                () if matches!(cell.as_str(), "0" | "0.0" | "-" | "0 bit/s") => look.faint(),
                () => Style::new(),
            };
            let mut text = if spans.is_empty() { String::new() } else { "  ".to_owned() };
            fill(&mut text, &cell, *width, column.align());
            spans.push(Span::styled(text, style));
        }
        let mut whole = Line::from(spans);
        if place == selected && focused {
            let used = whole.width();
            whole.push_span(Span::raw(" ".repeat(width.saturating_sub(used))));
            whole = whole.style(Style::new().add_modifier(Modifier::REVERSED));
        } else if place == selected {
            whole = whole.style(Style::new().add_modifier(Modifier::BOLD));
        }
        line(frame, area, at, whole);
    }
}

/// The head of a table; the mark stands beside the title of its column, in the gap between two.
fn titles<C: Column>(placed: &columns::Placed<C>, mark: Option<(C, char)>) -> String {
    let mut line = String::new();
    let mut marked = None;
    for (column, width) in placed {
        let begin = line.chars().count() + if line.is_empty() { 0 } else { 2 };
        let title = column.title();
        pad(&mut line, title, *width, column.align());
        if let Some((_, mark)) = mark.filter(|(sorted, _)| sorted == column) {
            let length = title.chars().count();
            let beside = match column.align() {
                Align::Left => begin + length,
                Align::Right => (begin + width).saturating_sub(length + 1),
            };
            marked = Some((beside, mark));
        }
    }
    let Some((at, mark)) = marked else { return line };
    // Beside the last title there may be nothing yet.
    let cells = line.chars().chain([' ']).enumerate();
    cells.map(|(place, cell)| if place == at { mark } else { cell }).collect()
}

/// Adds a cell, two spaces after the one before.
fn pad(line: &mut String, cell: &str, width: usize, align: Align) {
    if !line.is_empty() {
        line.push_str("  ");
    }
    fill(line, cell, width, align);
}

/// Adds a cell of exactly this width: what is too long is cut, and a mark says so.
fn fill(line: &mut String, cell: &str, width: usize, align: Align) {
    let long = cell.chars().count() > width;
    let cell = match long {
        true => cell.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => cell.to_owned(),
    };
    match align {
        Align::Left => line.push_str(&format!("{cell:<width$}")),
        Align::Right => line.push_str(&format!("{cell:>width$}")),
    }
}

fn programs(frame: &mut Frame<'_>, area: Rect, node: &str, programs: &[Shown], look: Look) {
    let title = format!("PROGRAMS on {node}");
    let mut table = Table::new(&[
        (title.as_str(), Align::Left),
        ("STATE", Align::Left),
        ("PID", Align::Right),
        ("COMMAND", Align::Left),
    ]);
    let own: Vec<_> = programs.iter().filter(|program| program.node == node).collect();
    for one in &own {
        let pid = one.pid.map_or(String::new(), |pid| pid.to_string());
        table.row([one.name.clone(), one.doing.to_string(), pid, one.command.join(" ")]);
    }
    let room = usize::from(area.height) - 1;
    for (at, text) in table.to_string().lines().enumerate() {
        let style = if at == 0 { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
        let more = own.len().saturating_sub(room) + 1;
        let text = if at == room && more > 1 { format!("… and {more} more") } else { printable(text) };
        line(frame, area, at, Line::styled(text, if at == room && more > 1 { look.faint() } else { style }));
    }
}

/// Arguments may hold anything.
fn printable(text: &str) -> String {
    crate::capture::print::printable(text)
}

fn foot_line(frame: &mut Frame<'_>, area: Rect, look: Look) {
    let mut spans = Vec::new();
    for (key, does) in KEYS {
        spans.push(Span::styled(key, Style::new().add_modifier(Modifier::BOLD)));
        spans.push(Span::styled(format!(" {does}  "), look.faint()));
    }
    line(frame, area, 0, Line::from(spans));
}

#[cfg(test)]
mod tests;
