//! The screen in several sizes, as text.

use super::*;
use crate::cli::top::example;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// 12:34:56.
const NOW: u64 = 45_296;

fn drawn(screen: &mut Screen, width: u16, height: u16, colour: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| super::screen(frame, screen, NOW, Look { colour })).unwrap();
    terminal
}

fn example(report: Report) -> Screen {
    let mut screen = Screen::default();
    screen.take(report);
    screen
}

fn press(screen: &mut Screen, keys: &str) {
    for key in keys.chars() {
        let code = if key == '\t' { KeyCode::Tab } else { KeyCode::Char(key) };
        screen.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
}

#[test]
fn sizes() {
    for (width, height) in [(60, 12), (80, 24), (120, 40)] {
        let mut screen = example(example::report());
        let terminal = drawn(&mut screen, width, height, false);
        insta::assert_snapshot!(format!("{width}x{height}"), terminal.backend());
    }
}

#[test]
fn more_than_fits_scrolls_and_sorts() {
    let mut screen = example(example::many(100));
    press(&mut screen, "Gkkkkp");
    drawn(&mut screen, 80, 24, false);
    press(&mut screen, "kk");
    insta::assert_snapshot!("scrolled", drawn(&mut screen, 80, 24, false).backend());
    press(&mut screen, "gssss\tsr");
    insta::assert_snapshot!("sorted", drawn(&mut screen, 60, 12, false).backend());
}

#[test]
fn no_size_is_too_small() {
    for report in [Report::default(), example::report(), example::many(300)] {
        let mut screen = example(report);
        for (width, height) in [(0, 0), (1, 1), (3, 2), (10, 3), (20, 4), (59, 5), (500, 200), (1, 100)] {
            drawn(&mut screen, width, height, true);
        }
    }
}

fn style_of(buffer: &Buffer, text: &str) -> Style {
    let area = buffer.area;
    for y in area.top()..area.bottom() {
        let line: String = (area.left()..area.right()).map(|x| buffer[(x, y)].symbol()).collect();
        if let Some(at) = line.find(text) {
            let x = line[..at].chars().count();
            return buffer[(u16::try_from(x).unwrap(), y)].style();
        }
    }
    panic!("no {text:?} in {buffer:?}")
}

#[test]
fn colours_are_for_bad_news_and_only_where_they_are_wanted() {
    let mut screen = example(example::report());
    let coloured = drawn(&mut screen, 80, 24, true);
    let plain = drawn(&mut screen, 80, 24, false);
    for alarm in ["dead", "no answer", "paused"] {
        assert_eq!(style_of(coloured.backend().buffer(), alarm).fg, Some(Color::Red), "{alarm}");
    }
    assert_eq!(style_of(coloured.backend().buffer(), "stopped").fg, Some(Color::Reset));
    let buffer = plain.backend().buffer();
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    // The selected line is known without them.
    assert!(style_of(buffer, "h1 ").add_modifier.contains(Modifier::REVERSED));
}
