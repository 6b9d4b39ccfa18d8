//! The calls by which the dynamic loader opens libraries.
//!
//! Libraries are the host's, dozens of some programs', and to look at an open(2) costs ten microseconds. The filter cannot read a path,
//! but is told which instruction calls. The loader lies elsewhere in each process, yet begins at a page: so where in a page its
//! calls are tells them from those of libc, which is looked through for any at the same place. Both are the ones that this process
//! runs with; a program with others, or none, has all its calls looked at.

use crate::memory::PAGE;
use memchr::memmem;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};

/// `mov $SYS_openat, %eax`, and `syscall`.
const OPENAT: [u8; 5] = [0xb8, 0x01, 0x01, 0, 0];
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Octets from the first to the end of the second, at most: between them the arguments are loaded.
const CALL: usize = 24;
/// Octets that are looked through at once: whole pages, and few enough to stay in a cache.
const CHUNK: usize = 16 * PAGE;
/// Calls that the loader has, at most; glibc's has three.
const MOST: usize = 8;

const LOADER: &str = "/ld-linux-x86-64.so.2";
const LIBC: &str = "/libc.so.6";

/// Where in a page the instructions stand that follow the loader's openat(2). Empty: it is not known, or not told from libc's calls.
pub(crate) fn opens() -> Vec<u32> {
    let found = || {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let mut loader = Vec::new();
        code(&maps, LOADER)?.read_to_end(&mut loader).ok()?;
        told_apart(&loader, code(&maps, LIBC)?).ok()
    };
    found().unwrap_or_default()
}

/// The instructions of a file that this process has mapped, from the beginning of a page on.
fn code(maps: &str, name: &str) -> Option<Take<File>> {
    let line = maps.lines().find(|line| line.ends_with(name) && line.contains(" r-xp "))?;
    let mut words = line.split_ascii_whitespace();
    let (first, end) = words.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (len, offset) = (number(end)? - number(first)?, number(words.nth(1)?)?);
    let mut file = File::open(words.nth(2)?).ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    Some(file.take(len))
}

/// The loader's calls but for those at whose place in a page libc has one, too.
fn told_apart(loader: &[u8], mut libc: impl Read) -> io::Result<Vec<u32>> {
    let behind = memmem::find_iter(loader, &OPENAT).filter_map(|at| {
        let end = loader.len().min(at + CALL);
        Some(at + memmem::find(&loader[at..end], &SYSCALL)? + SYSCALL.len())
    });
    let mut places: Vec<usize> = behind.map(|behind| behind % PAGE).take(MOST).collect();
    let opens = |call: &[u8]| call.ends_with(&SYSCALL) && memmem::find(call, &OPENAT).is_some();
    // Behind the end of the chunk before it.
    let mut chunk = vec![0; CALL + CHUNK];
    loop {
        let len = fill(&mut libc, &mut chunk[CALL..])?;
        places.retain(|place| {
            let mut ends = (CALL + place..=CALL + len).step_by(PAGE);
            !ends.any(|end| opens(&chunk[end - CALL..end]))
        });
        if len < CHUNK {
            return Ok(places.into_iter().map(|place| place as u32).collect());
        }
        chunk.copy_within(CHUNK.., 0);
    }
}

/// Reads until the room is full, or there is no more; how much that was.
fn fill(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    loop {
        match source.read(&mut room[len..])? {
            0 => return Ok(len),
            read => len += read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at: usize) -> Vec<u8> {
        let mut code = vec![0x90; 2 * CHUNK];
        code[at..at + 5].copy_from_slice(&OPENAT);
        code[at + 11..at + 13].copy_from_slice(&SYSCALL);
        code
    }

    fn places(loader: &[u8], libc: &[u8]) -> Vec<u32> {
        told_apart(loader, libc).unwrap()
    }

    #[test]
    fn calls_are_known_by_their_place_in_a_page() {
        let libc = call(100);
        assert_eq!(places(&call(PAGE + 7), &libc), [20]);
        assert_eq!(places(&call(PAGE + 100), &libc), [0; 0], "libc's are there, too");
        assert_eq!(places(&call(PAGE - 13), &libc), [0], "the next instruction begins a page");
        for at in [PAGE, CHUNK, 2 * CHUNK].map(|end| end - 13) {
            assert_eq!(places(&call(PAGE - 13), &call(at)), [0; 0], "at the end of a chunk, and of all");
        }
        assert_eq!(places(&call(7), &call(CHUNK + 7)), [0; 0], "in a later chunk");
        assert_eq!(places(&libc[200..], &libc), [0; 0], "there is none");
        let mut other = call(PAGE + 7);
        other.retain(|octet| *octet != SYSCALL[1]);
        assert_eq!(places(&other, &libc), [0; 0], "it sets a register, and calls nothing");
    }

    #[test]
    fn a_call_may_lie_across_two_chunks() {
        // Its instruction of six octets before the end, and what follows.
        let libc = call(CHUNK - 6);
        assert_eq!(places(&call(PAGE - 6), &libc), [0; 0]);
    }

    /// glibc's loader is recognised on the host that runs the tests, where they are linked with it.
    #[test]
    fn the_loader_of_this_process_is_known() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        if maps.contains(LOADER) {
            assert!(!opens().is_empty());
        }
    }
}
