//! The calls by which the dynamic loader opens libraries.
//!
//! Libraries are the host's, dozens of some programs', and to look at an open(2) costs ten microseconds. The filter cannot read a path,
//! but is told which instruction calls. The loader lies elsewhere in each process, yet begins at a page: so where in a page its
//! calls are tells them from those of libc, which is looked through for any at the same place. Both are the ones that this process
//! runs with; a program with others, or none, has all its calls looked at.

use crate::memory;
use memchr::memmem;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// `mov $SYS_openat, %eax`, and `syscall`.
const OPENAT: [u8; 5] = [0xb8, 0x01, 0x01, 0, 0];
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Octets from the first to the end of the second, at most: between them the arguments are loaded.
const CALL: usize = 24;
/// Calls that the loader has, at most; glibc's has three.
const MOST: usize = 8;

const LOADER: &str = "/ld-linux-x86-64.so.2";
const LIBC: &str = "/libc.so.6";

/// Where in a page the instructions stand that follow the loader's openat(2). Empty: it is not known, or not told from libc's calls.
pub(crate) fn opens() -> Vec<u32> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    match (code(&maps, LOADER), code(&maps, LIBC)) {
        (Some(loader), Some(libc)) => told_apart(&loader, &libc),
        _ => Vec::new(),
    }
}

/// The instructions of a file that this process has mapped, from the beginning of a page on.
fn code(maps: &str, name: &str) -> Option<Vec<u8>> {
    let line = maps.lines().find(|line| line.ends_with(name) && line.contains(" r-xp "))?;
    let mut words = line.split_ascii_whitespace();
    let (first, end) = words.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (len, offset) = (number(end)? - number(first)?, number(words.nth(1)?)?);
    let mut code = vec![0; usize::try_from(len).ok()?];
    let file = File::open(words.nth(2)?).ok()?;
    // The last page of a mapping may reach beyond the file.
    let read = file.read_at(&mut code, offset).ok()?;
    code.truncate(read);
    Some(code)
}

/// The loader's calls but for those at whose place in a page libc has one, too.
fn told_apart(loader: &[u8], libc: &[u8]) -> Vec<u32> {
    let behind = memmem::find_iter(loader, &OPENAT).filter_map(|at| {
        let end = loader.len().min(at + CALL);
        Some(at + memmem::find(&loader[at..end], &SYSCALL)? + SYSCALL.len())
    });
    let opens = |code: &[u8], behind: usize| {
        let call = code.get(behind.saturating_sub(CALL)..behind).unwrap_or_default();
        call.ends_with(&SYSCALL) && memmem::find(call, &OPENAT).is_some()
    };
    let is_libcs = |place: usize| (place..libc.len()).step_by(memory::PAGE).any(|behind| opens(libc, behind));
    let places = behind.map(|behind| behind % memory::PAGE).filter(|place| !is_libcs(*place));
    places.take(MOST).map(|place| place as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at: usize) -> Vec<u8> {
        let mut code = vec![0x90; 3 * memory::PAGE];
        code[at..at + 5].copy_from_slice(&OPENAT);
        code[at + 11..at + 13].copy_from_slice(&SYSCALL);
        code
    }

    #[test]
    fn calls_are_known_by_their_place_in_a_page() {
        let libc = call(100);
        assert_eq!(told_apart(&call(memory::PAGE + 7), &libc), [20]);
        assert_eq!(told_apart(&call(memory::PAGE + 100), &libc), [0; 0], "libc's are there, too");
        assert_eq!(told_apart(&call(memory::PAGE - 13), &libc), [0], "the next instruction begins a page");
        assert_eq!(told_apart(&call(memory::PAGE - 13), &call(2 * memory::PAGE - 13)), [0; 0]);
        assert_eq!(told_apart(&libc[200..], &libc), [0; 0], "there is none");
        let mut other = call(memory::PAGE + 7);
        other.retain(|octet| *octet != SYSCALL[1]);
        assert_eq!(told_apart(&other, &libc), [0; 0], "it sets a register, and calls nothing");
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
