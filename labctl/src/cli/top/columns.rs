//! The columns of the two tables: what they are called, what stands in them, how they sort, and which are left out first
//! where the screen is narrow.

use super::rates::{BusRow, NodeRow};
use crate::ui::{Align, short};
use std::cmp::Ordering;

/// Shown where nothing is known.
const UNKNOWN: &str = "-";

/// Cells of a number, at most as [`short`] writes it.
const NUMBER: usize = 5;

/// Fewest cells of a name.
const LEAST_NAME: usize = 8;

/// A column of a table.
pub(super) trait Column: Copy + PartialEq + 'static {
    /// What a line is about.
    type Row;
    /// All, from left to right; the first is the name.
    const ALL: &'static [Self];
    /// Its head.
    fn title(self) -> &'static str;
    /// To which side it leans; words sort from the least, numbers from the greatest.
    fn align(self) -> Align;
    /// What stands in it.
    fn cell(self, row: &Self::Row, width: usize) -> String;
    /// By what it sorts, least first; what is unknown is less than all.
    fn compare(self, a: &Self::Row, b: &Self::Row) -> Ordering;
    /// The greater, the earlier it is left out; 0: never.
    fn weight(self) -> u8;
    /// Whether it takes what room is left, from [`LEAST_NAME`] on.
    fn is_elastic(self) -> bool {
        false
    }
    /// Whether what it shows is bad news.
    fn is_alarm(self, _row: &Self::Row) -> bool {
        false
    }
    /// The name of the line.
    fn name(row: &Self::Row) -> &str;
}

/// A column of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeColumn {
    Name,
    State,
    Pid,
    Cpu,
    Resident,
    InFrames,
    InOctets,
    OutFrames,
    OutOctets,
    Drops,
    Sockets,
}

impl NodeColumn {
    /// What it counts a second, if it does.
    fn rate(self, row: &NodeRow) -> Option<f64> {
        match self {
            Self::Cpu => row.cpu,
            Self::InFrames => row.traffic.in_frames,
            Self::InOctets => row.traffic.in_octets,
            Self::OutFrames => row.traffic.out_frames,
            Self::OutOctets => row.traffic.out_octets,
            Self::Drops => row.traffic.drops,
            Self::Name | Self::State | Self::Pid | Self::Resident | Self::Sockets => None,
        }
    }
}

impl Column for NodeColumn {
    type Row = NodeRow;
    const ALL: &'static [Self] = &[
        Self::Name,
        Self::State,
        Self::Pid,
        Self::Cpu,
        Self::Resident,
        Self::InFrames,
        Self::InOctets,
        Self::OutFrames,
        Self::OutOctets,
        Self::Drops,
        Self::Sockets,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Name => "NODE",
            Self::State => "STATE",
            Self::Pid => "PID",
            Self::Cpu => "CPU%",
            Self::Resident => "RES",
            Self::InFrames => "IN f/s",
            Self::InOctets => "IN B/s",
            Self::OutFrames => "OUT f/s",
            Self::OutOctets => "OUT B/s",
            Self::Drops => "DROP/s",
            Self::Sockets => "SOCK",
        }
    }

    fn align(self) -> Align {
        match self {
            Self::Name | Self::State => Align::Left,
            _ => Align::Right,
        }
    }

    fn cell(self, row: &NodeRow, _width: usize) -> String {
        match self {
            Self::Name => row.name.clone(),
            Self::State => row.state().to_owned(),
            Self::Pid => or_unknown(row.pid, |pid| pid.to_string()),
            Self::Cpu => or_unknown(row.cpu, |percent| format!("{percent:.1}")),
            Self::Resident => or_unknown(row.resident, |octets| short(octets as f64)),
            Self::Sockets => or_unknown(row.sockets, |n| short(n as f64)),
            Self::InFrames | Self::InOctets | Self::OutFrames | Self::OutOctets | Self::Drops => {
                or_unknown(self.rate(row), short)
            }
        }
    }

    fn compare(self, a: &NodeRow, b: &NodeRow) -> Ordering {
        match self {
            Self::Name => natural(&a.name, &b.name),
            Self::State => a.state().cmp(b.state()),
            Self::Pid => a.pid.cmp(&b.pid),
            Self::Resident => a.resident.cmp(&b.resident),
            Self::Sockets => a.sockets.cmp(&b.sockets),
            Self::Cpu | Self::InFrames | Self::InOctets | Self::OutFrames | Self::OutOctets | Self::Drops => {
                by_rate(self.rate(a), self.rate(b))
            }
        }
    }

    fn weight(self) -> u8 {
        match self {
            Self::Name | Self::State => 0,
            Self::InOctets | Self::OutOctets => 1,
            Self::Cpu => 2,
            Self::InFrames | Self::OutFrames => 3,
            Self::Drops => 4,
            Self::Resident => 5,
            Self::Pid => 6,
            Self::Sockets => 7,
        }
    }

    fn is_alarm(self, row: &NodeRow) -> bool {
        use crate::lab::view::NodeLife;
        match self {
            Self::State => row.silent || matches!(row.life, NodeLife::Dead | NodeLife::Paused),
            Self::Drops => row.traffic.drops.is_some_and(|drops| drops > 0.0),
            _ => false,
        }
    }

    fn name(row: &NodeRow) -> &str {
        &row.name
    }
}

/// A column of buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BusColumn {
    Name,
    Members,
    Frames,
    Bits,
    Lost,
    Impaired,
    Minute,
}

impl Column for BusColumn {
    type Row = BusRow;
    const ALL: &'static [Self] =
        &[Self::Name, Self::Members, Self::Frames, Self::Bits, Self::Lost, Self::Impaired, Self::Minute];

    fn title(self) -> &'static str {
        match self {
            Self::Name => "BUS",
            Self::Members => "PORTS",
            Self::Frames => "FRAME/s",
            Self::Bits => "RATE",
            Self::Lost => "LOST/s",
            Self::Impaired => "IMPAIR/s",
            Self::Minute => "LAST MINUTE",
        }
    }

    fn align(self) -> Align {
        match self {
            Self::Name | Self::Minute => Align::Left,
            _ => Align::Right,
        }
    }

    fn cell(self, row: &BusRow, width: usize) -> String {
        match self {
            Self::Name => row.name.clone(),
            Self::Members => row.members.to_string(),
            Self::Frames => or_unknown(row.frames, short),
            Self::Bits => or_unknown(row.bits, bits),
            Self::Lost => or_unknown(row.lost, short),
            Self::Impaired => or_unknown(row.impaired, short),
            Self::Minute => row.minute.bars(width),
        }
    }

    fn compare(self, a: &BusRow, b: &BusRow) -> Ordering {
        match self {
            Self::Name => natural(&a.name, &b.name),
            Self::Members => a.members.cmp(&b.members),
            Self::Frames => by_rate(a.frames, b.frames),
            Self::Bits | Self::Minute => by_rate(a.bits, b.bits),
            Self::Lost => by_rate(a.lost, b.lost),
            Self::Impaired => by_rate(a.impaired, b.impaired),
        }
    }

    fn weight(self) -> u8 {
        match self {
            Self::Name | Self::Bits => 0,
            Self::Frames => 1,
            Self::Minute => 2,
            Self::Lost | Self::Impaired => 3,
            Self::Members => 4,
        }
    }

    fn is_elastic(self) -> bool {
        self == Self::Minute
    }

    fn is_alarm(self, row: &BusRow) -> bool {
        let lossy = |rate: Option<f64>| rate.is_some_and(|rate| rate > 0.0);
        match self {
            Self::Lost => lossy(row.lost),
            Self::Impaired => lossy(row.impaired),
            _ => false,
        }
    }

    fn name(row: &BusRow) -> &str {
        &row.name
    }
}

fn or_unknown<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), text)
}

/// `12.3 Mbit/s`
fn bits(rate: f64) -> String {
    let number = short(rate);
    match number.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        Some(digits) => format!("{digits} {}bit/s", &number[digits.len()..]),
        None => format!("{number} bit/s"),
    }
}

fn by_rate(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// `h2` before `h10`: runs of digits are numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let pieces = |text: &str| -> Vec<(String, usize, String)> {
        let text = text.chars().collect::<Vec<_>>();
        let runs = text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
        let piece = |run: &[char]| {
            let run: String = run.iter().collect();
            let digits = run.trim_start_matches('0').to_owned();
            match run.as_bytes()[0].is_ascii_digit() {
                true => (String::new(), digits.len(), digits),
                false => (run, 0, String::new()),
            }
        };
        runs.map(piece).collect()
    };
    pieces(a).cmp(&pieces(b)).then_with(|| a.cmp(b))
}

/// A column and its cells.
pub(super) type Placed<C> = Vec<(C, usize)>;

/// Which columns there is room for, two cells apart, and how wide they are. The widths depend on names and numbers of
/// processes alone: nothing jumps while rates change.
pub(super) fn place<C: Column>(rows: &[C::Row], room: usize) -> Placed<C> {
    let widest = |column: C| {
        let cells = rows.iter().map(|row| column.cell(row, 0).chars().count());
        cells.max().unwrap_or(0)
    };
    let fixed = |column: C| {
        let title = column.title().chars().count();
        match column.align() {
            Align::Left if column.is_elastic() => title.max(LEAST_NAME),
            Align::Left => title,
            Align::Right => title.max(NUMBER),
        }
    };
    let mut placed: Placed<C> = C::ALL.iter().map(|column| (*column, fixed(*column))).collect();
    for (column, width) in &mut placed {
        if !column.is_elastic() {
            *width = (*width).max(widest(*column));
        }
    }
    let is_name = |column: C| column == C::ALL[0];
    // A name may be cut short before a column is left out.
    let least =
        |(column, width): &(C, usize)| if is_name(*column) { (*width).min(LEAST_NAME) } else { *width };
    let needs = |placed: &Placed<C>| placed.iter().map(|one| least(one) + 2).sum::<usize>().saturating_sub(2);
    while needs(&placed) > room
        && let Some(heaviest) =
            placed.iter().map(|(column, _)| column.weight()).max().filter(|most| *most > 0)
        && let Some(at) = placed.iter().rposition(|(column, _)| column.weight() == heaviest)
    {
        placed.remove(at);
    }
    let mut left = room.saturating_sub(needs(&placed));
    for (column, width) in &mut placed {
        if is_name(*column) {
            let least = (*width).min(LEAST_NAME);
            let more = left.min(*width - least);
            *width = least + more;
            left -= more;
        }
    }
    for (_, width) in placed.iter_mut().filter(|(column, _)| column.is_elastic()) {
        *width += left.min(60 - (*width).min(60));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::example;

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names = ["h10", "h2", "h2b", "a1-10", "a1-9", "h02", "r"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a1-9", "a1-10", "h02", "h2", "h2b", "h10", "r"]);
    }

    #[test]
    fn a_rate_has_its_unit() {
        let of = |rate| bits(rate);
        assert_eq!([of(0.0), of(999.0), of(12_340.0)], ["0 bit/s", "999 bit/s", "12.3 kbit/s"]);
        assert_eq!([of(1.5e6), of(9.87e9)], ["1.50 Mbit/s", "9.87 Gbit/s"]);
    }

    #[test]
    fn what_is_unknown_is_least_and_words_and_numbers_compare() {
        assert_eq!(by_rate(None, Some(0.0)), Ordering::Less);
        assert_eq!(by_rate(None, None), Ordering::Equal);
        assert_eq!(by_rate(Some(2.0), Some(1.0)), Ordering::Greater);
    }

    #[test]
    fn every_width_is_kept_and_the_light_columns_stay() {
        let report = example::report();
        for room in 20..200 {
            let nodes = place::<NodeColumn>(&report.nodes, room);
            let buses = place::<BusColumn>(&report.buses, room);
            let sum = |widths: Vec<usize>| widths.iter().map(|width| width + 2).sum::<usize>() - 2;
            assert!(sum(nodes.iter().map(|one| one.1).collect()) <= room, "{room}: {nodes:?}");
            if room >= 21 {
                assert!(sum(buses.iter().map(|one| one.1).collect()) <= room, "{room}: {buses:?}");
            }
            if room >= 90 {
                assert_eq!(nodes.len(), NodeColumn::ALL.len(), "{room}");
            }
        }
        let names =
            |room| place::<NodeColumn>(&report.nodes, room).iter().map(|one| one.0).collect::<Vec<_>>();
        assert!(!names(60).contains(&NodeColumn::Pid) && names(60).contains(&NodeColumn::OutFrames));
    }
}
