//! The calls by which the dynamic loader opens libraries.
//!
//! Libraries are the host's, dozens of some programs', and to look at an open(2) costs ten microseconds. The filter cannot read a path,
//! but is told which instruction calls. The loader lies elsewhere in each process, yet begins at a page: so where in a page its
//! calls are tells them from those of libc, which is looked through for any at the same place. Both are the host's; a program
//! with another loader, or none, has all its calls looked at.

use crate::memory::PAGE;
use elf::ElfStream;
use elf::abi::{PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use memchr::memmem;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::path::Path;

/// `mov $SYS_openat, %eax`, and `syscall`.
const OPENAT: [u8; 5] = [0xb8, 0x01, 0x01, 0, 0];
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Octets from the first to the end of the second, at most: between them the arguments are loaded.
const CALL: usize = 24;
/// Octets that are looked through at once: whole pages, and few enough to stay in a cache.
const CHUNK: usize = 16 * PAGE;
/// Calls that the loader has, at most; glibc's has three.
const MOST: usize = 8;

/// Where the psABI for x86-64 has it. Beside it, once links are followed, is the libc that it belongs to.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const LIBC: &str = "libc.so.6";

/// Where in a page the instructions stand that follow the loader's openat(2). Empty: it is not known, or not told from libc's calls.
pub(crate) fn opens() -> Vec<u32> {
    let found = || {
        let path = std::fs::canonicalize(LOADER).ok()?;
        told_apart(code(&path)?, code(&path.with_file_name(LIBC))?).ok()
    };
    found().unwrap_or_default()
}

/// The instructions of a library, from the beginning of a page on.
fn code(path: &Path) -> Option<Take<File>> {
    let mut file = File::open(path).ok()?;
    let library = ElfStream::<LittleEndian, _>::open_stream(&file).ok()?;
    let code = *library.segments().iter().find(|part| part.p_type == PT_LOAD && part.p_flags & PF_X != 0)?;
    let before = code.p_offset % PAGE as u64;
    file.seek(SeekFrom::Start(code.p_offset - before)).ok()?;
    Some(file.take(before + code.p_filesz))
}

/// The loader's calls but for those at whose place in a page libc has one, too.
fn told_apart(loader: impl Read, libc: impl Read) -> io::Result<Vec<u32>> {
    let mut room = vec![0; CALL + CHUNK];
    let mut places = Vec::new();
    each_chunk(loader, &mut room, |chunk| {
        let ends = memmem::find_iter(chunk, &OPENAT).filter_map(|at| {
            let end = chunk.len().min(at + CALL);
            Some(at + memmem::find(&chunk[at..end], &SYSCALL)? + SYSCALL.len())
        });
        // What ends among the first octets ended the chunk before.
        places.extend(ends.filter(|end| *end > CALL).map(|end| (end - CALL) % PAGE));
    })?;
    places.truncate(MOST);
    let opens = |call: &[u8]| call.ends_with(&SYSCALL) && memmem::find(call, &OPENAT).is_some();
    each_chunk(libc, &mut room, |chunk| {
        places.retain(|place| {
            !(CALL + place..=chunk.len()).step_by(PAGE).any(|end| opens(&chunk[end - CALL..end]))
        });
    })?;
    Ok(places.into_iter().map(|place| place as u32).collect())
}

/// Hands on what there is in chunks of whole pages, each with the last [`CALL`] octets before it.
fn each_chunk(mut source: impl Read, room: &mut [u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    room[..CALL].fill(0);
    loop {
        let len = fill(&mut source, &mut room[CALL..])?;
        each(&room[..CALL + len]);
        if len < CHUNK {
            return Ok(());
        }
        room.copy_within(CHUNK.., 0);
    }
}

/// Reads until the room is full, or there is no more; how much that was.
fn fill(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < room.len() {
        match source.read(&mut room[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
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

    /// glibc's loader is recognised on the host that runs the tests.
    #[test]
    fn the_loader_of_this_host_is_known() {
        if Path::new(LOADER).exists() {
            assert!(!opens().is_empty());
        }
    }
}
