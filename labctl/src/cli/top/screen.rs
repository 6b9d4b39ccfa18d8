//! What the screen is about: which table, which line, in which order. Keys change it; nothing is drawn here.

use super::columns::{BusColumn, Column, NodeColumn};
use super::rates::Report;
use crate::ui::Align;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::ops::Range;

/// The table that keys move in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Focus {
    #[default]
    Nodes,
    Buses,
}

/// What comes after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
}

/// One table: its order, its selected line, what of it is to be seen.
#[derive(Debug)]
pub(super) struct List<C> {
    /// `None`: as the topology has it.
    pub(super) sort: Option<C>,
    pub(super) reversed: bool,
    /// By name: it stays the same where lines change places.
    selected: Option<String>,
    /// The first line to be seen.
    offset: usize,
    /// Lines that were to be seen when it was last drawn.
    height: usize,
}

// Derived, it would ask for a default column.
impl<C> Default for List<C> {
    fn default() -> Self {
        Self { sort: None, reversed: false, selected: None, offset: 0, height: 1 }
    }
}

/// How far the selection moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Up(usize),
    Down(usize),
    First,
    Last,
}

impl<C: Column> List<C> {
    /// The lines in their order, as places in `rows`.
    pub(super) fn order(&self, rows: &[C::Row]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if let Some(column) = self.sort {
            let greatest_first = column.align() == Align::Right || column.is_elastic();
            order.sort_by(|a, b| match greatest_first {
                true => column.compare(&rows[*b], &rows[*a]),
                false => column.compare(&rows[*a], &rows[*b]),
            });
        }
        if self.reversed {
            order.reverse();
        }
        order
    }

    /// The selected line's place in the order; the first if it is gone, or none was chosen yet.
    fn place(&self, rows: &[C::Row], order: &[usize]) -> usize {
        let is_selected = |at: &&usize| Some(C::name(&rows[**at])) == self.selected.as_deref();
        order.iter().position(|at| is_selected(&at)).unwrap_or(0)
    }

    /// The selected line.
    pub(super) fn selected<'r>(&self, rows: &'r [C::Row]) -> Option<&'r C::Row> {
        let order = self.order(rows);
        Some(&rows[*order.get(self.place(rows, &order))?])
    }

    /// The lines of the order that are to be seen where there is room for so many, and which of them is selected.
    pub(super) fn window(
        &mut self,
        rows: &[C::Row],
        order: &[usize],
        height: usize,
    ) -> (Range<usize>, usize) {
        let place = self.place(rows, order);
        self.height = height.max(1);
        self.offset = self.offset.min(order.len().saturating_sub(self.height));
        self.offset = self.offset.clamp((place + 1).saturating_sub(self.height), place);
        (self.offset..order.len().min(self.offset + height), place)
    }

    fn go(&mut self, rows: &[C::Row], to: Move) {
        let order = self.order(rows);
        let Some(last) = order.len().checked_sub(1) else { return };
        let place = match to {
            Move::Up(lines) => self.place(rows, &order).saturating_sub(lines),
            Move::Down(lines) => (self.place(rows, &order) + lines).min(last),
            Move::First => 0,
            Move::Last => last,
        };
        self.selected = Some(C::name(&rows[order[place]]).to_owned());
    }

    /// The next column; after the last the order of the topology.
    fn sort_next(&mut self) {
        self.sort = match self.sort {
            None => C::ALL.first().copied(),
            Some(column) => C::ALL.iter().skip_while(|one| **one != column).nth(1).copied(),
        };
        self.reversed = false;
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) focus: Focus,
    pub(super) nodes: List<NodeColumn>,
    pub(super) buses: List<BusColumn>,
    pub(super) paused: bool,
    /// What is shown.
    pub(super) report: Report,
    /// What came since it was paused.
    waiting: Option<Report>,
}

impl Screen {
    /// Something new; whether it is to be drawn.
    pub(super) fn take(&mut self, report: Report) -> bool {
        match self.paused {
            true => self.waiting = Some(report),
            false => self.report = report,
        }
        !self.paused
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        let page = match self.focus {
            Focus::Nodes => self.nodes.height,
            Focus::Buses => self.buses.height,
        };
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Next::Leave,
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Up | KeyCode::Char('k') => self.go(Move::Up(1)),
            KeyCode::Down | KeyCode::Char('j') => self.go(Move::Down(1)),
            KeyCode::PageUp => self.go(Move::Up(page)),
            KeyCode::PageDown => self.go(Move::Down(page)),
            KeyCode::Home | KeyCode::Char('g') => self.go(Move::First),
            KeyCode::End | KeyCode::Char('G') => self.go(Move::Last),
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = match self.focus {
                    Focus::Nodes => Focus::Buses,
                    Focus::Buses => Focus::Nodes,
                }
            }
            KeyCode::Char('s') => match self.focus {
                Focus::Nodes => self.nodes.sort_next(),
                Focus::Buses => self.buses.sort_next(),
            },
            KeyCode::Char('r') => match self.focus {
                Focus::Nodes => self.nodes.reversed ^= true,
                Focus::Buses => self.buses.reversed ^= true,
            },
            KeyCode::Char('p' | ' ') => {
                self.paused ^= true;
                if let Some(report) = self.waiting.take().filter(|_| !self.paused) {
                    self.report = report;
                }
            }
            _ => {}
        }
        Next::Stay
    }

    fn go(&mut self, to: Move) {
        match self.focus {
            Focus::Nodes => self.nodes.go(&self.report.nodes, to),
            Focus::Buses => self.buses.go(&self.report.buses, to),
        }
    }
}

#[cfg(test)]
mod tests;
