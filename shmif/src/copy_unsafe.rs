//! Copies between private memory and memory that another process may be writing at the same moment.
//!
//! A Rust `memcpy` of such memory would be a data race, which is undefined behaviour whatever is done with the octets afterwards. Here the
//! shared side is touched only by inline assembly. The compiler must treat that as a foreign function which does *some* loads and
//! stores; what these do under a race is defined by the processor: each octet that is loaded is a value which that octet had, that is, a relaxed
//! atomic access an octet. The order against the ring's counters comes from the fences of `protocol.rs`. Elsewhere than on x86-64 the same
//! is said with relaxed `AtomicU64`s (the ring's side is always a multiple of eight octets long, so no access there ever has another width).
//!
//! Which instructions: see `cargo bench --bench bus -- copy`; every width is exact, nothing outside the two slices is touched.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod imp {
    use std::arch::asm;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Copies `len` octets.
    ///
    /// # Safety
    /// `src` is readable and `dst` writable for `len` octets, the two do not overlap, and whichever is private to this process is accessed by nobody else.
    #[inline]
    pub(super) unsafe fn copy(src: *const u8, dst: *mut u8, len: usize) {
        // SAFETY: passed on.
        unsafe {
            match len {
                0..16 => small(src, dst, len),
                16..64 => medium(src, dst, len),
                _ => match width() {
                    WIDE => avx(src, dst, len),
                    _ => sse(src, dst, len),
                },
            }
        }
    }

    const UNKNOWN: u8 = 0;
    const NARROW: u8 = 1;
    const WIDE: u8 = 2;
    static WIDTH: AtomicU8 = AtomicU8::new(UNKNOWN);

    #[inline]
    fn width() -> u8 {
        match WIDTH.load(Ordering::Relaxed) {
            UNKNOWN => detect(),
            known => known,
        }
    }

    #[cold]
    fn detect() -> u8 {
        let width = if std::is_x86_feature_detected!("avx") { WIDE } else { NARROW };
        WIDTH.store(width, Ordering::Relaxed);
        width
    }

    /// # Safety
    /// As [`copy`].
    #[inline]
    unsafe fn small(src: *const u8, dst: *mut u8, len: usize) {
        // SAFETY: `rep movsb` copies exactly `len` octets upwards (the direction flag is clear by the ABI).
        unsafe {
            asm!("rep movsb", inout("rcx") len => _, inout("rsi") src => _, inout("rdi") dst => _, options(nostack, preserves_flags));
        }
    }

    /// # Safety
    /// As [`copy`], and `len` is at least 16 and at most 64.
    #[inline]
    unsafe fn medium(src: *const u8, dst: *mut u8, len: usize) {
        // SAFETY: four overlapping pieces of 16 octets: two from the front, two from the back, all within `len >= 16`; for
        // `len < 32` the second of the front is the back's.
        unsafe {
            let second = if len >= 32 { 16 } else { len - 16 };
            let third = len.saturating_sub(32);
            asm!(
                "movdqu {a}, [{s}]",
                "movdqu {b}, [{s} + {i}]",
                "movdqu {c}, [{s} + {j}]",
                "movdqu {d}, [{s} + {k}]",
                "movdqu [{t}], {a}",
                "movdqu [{t} + {i}], {b}",
                "movdqu [{t} + {j}], {c}",
                "movdqu [{t} + {k}], {d}",
                s = in(reg) src, t = in(reg) dst, i = in(reg) second, j = in(reg) third, k = in(reg) len - 16,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, d = out(xmm_reg) _,
                options(nostack, preserves_flags),
            );
        }
    }

    /// # Safety
    /// As [`copy`], `len` is at least 64, and the processor has AVX.
    #[inline]
    unsafe fn avx(src: *const u8, dst: *mut u8, len: usize) {
        // SAFETY: the loop copies 128 octets while more than 128 are left; then at most 128 and at least 1 are left, and the four (or, up to 64
        // left, two) pieces of 32 that end at `len` cover them; they begin at or behind the start since `len >= 64` resp. since a loop ran or
        // more than 64 are left with `len >= 128` handled by overlapping from the front. `vzeroupper` leaves no dirty upper halves.
        unsafe {
            asm!(
                "lea rax, [rsi + rcx]",
                "lea r8, [rdi + rcx]",
                // Last 64 octets, loaded first and stored last.
                "vmovdqu ymm4, [rax - 64]",
                "vmovdqu ymm5, [rax - 32]",
                "sub rcx, 64",
                "cmp rcx, 128",
                "jb 3f",
                ".p2align 5",
                "2:",
                "vmovdqu ymm0, [rsi]",
                "vmovdqu ymm1, [rsi + 32]",
                "vmovdqu ymm2, [rsi + 64]",
                "vmovdqu ymm3, [rsi + 96]",
                "vmovdqu [rdi], ymm0",
                "vmovdqu [rdi + 32], ymm1",
                "vmovdqu [rdi + 64], ymm2",
                "vmovdqu [rdi + 96], ymm3",
                "add rsi, 128",
                "add rdi, 128",
                "sub rcx, 128",
                "cmp rcx, 128",
                "jae 2b",
                "3:",
                // Fewer than 128 before the last 64: 64, then up to 64 which overlap with nothing missing.
                "cmp rcx, 64",
                "jb 4f",
                "vmovdqu ymm0, [rsi]",
                "vmovdqu ymm1, [rsi + 32]",
                "vmovdqu [rdi], ymm0",
                "vmovdqu [rdi + 32], ymm1",
                "add rsi, 64",
                "add rdi, 64",
                "sub rcx, 64",
                "4:",
                "test rcx, rcx",
                "jz 5f",
                // 1 to 63 left before the last 64: 64 from here overlap into those.
                "vmovdqu ymm0, [rsi]",
                "vmovdqu ymm1, [rsi + 32]",
                "vmovdqu [rdi], ymm0",
                "vmovdqu [rdi + 32], ymm1",
                "5:",
                "vmovdqu [r8 - 64], ymm4",
                "vmovdqu [r8 - 32], ymm5",
                "vzeroupper",
                inout("rsi") src => _, inout("rdi") dst => _, inout("rcx") len => _, out("rax") _, out("r8") _,
                // All vector registers, with their upper halves if the crate is built for AVX.
                clobber_abi("sysv64"),
                options(nostack),
            );
        }
    }

    /// # Safety
    /// As [`copy`], and `len` is at least 64.
    #[inline]
    unsafe fn sse(src: *const u8, dst: *mut u8, len: usize) {
        // SAFETY: the loop copies 64 octets while at least 64 are left; the 64 that end at `len` (which is at least 64) cover the rest.
        unsafe {
            asm!(
                "lea {end}, [{s} + {n} - 64]",
                "lea {tend}, [{t} + {n} - 64]",
                "2:",
                "movdqu {a}, [{s}]",
                "movdqu {b}, [{s} + 16]",
                "movdqu {c}, [{s} + 32]",
                "movdqu {d}, [{s} + 48]",
                "movdqu [{t}], {a}",
                "movdqu [{t} + 16], {b}",
                "movdqu [{t} + 32], {c}",
                "movdqu [{t} + 48], {d}",
                "add {s}, 64",
                "add {t}, 64",
                "sub {n}, 64",
                "cmp {n}, 64",
                "jae 2b",
                "movdqu {a}, [{end}]",
                "movdqu {b}, [{end} + 16]",
                "movdqu {c}, [{end} + 32]",
                "movdqu {d}, [{end} + 48]",
                "movdqu [{tend}], {a}",
                "movdqu [{tend} + 16], {b}",
                "movdqu [{tend} + 32], {c}",
                "movdqu [{tend} + 48], {d}",
                s = inout(reg) src => _, t = inout(reg) dst => _, n = inout(reg) len => _,
                end = out(reg) _, tend = out(reg) _,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, d = out(xmm_reg) _,
                options(nostack),
            );
        }
    }

    /// # Safety
    /// As [`copy`].
    pub(super) unsafe fn into_shared(shared: *mut u8, private: &[u8]) {
        // SAFETY: passed on; a slice is readable and private.
        unsafe { copy(private.as_ptr(), shared, private.len()) }
    }

    /// # Safety
    /// As [`copy`]; `private` is writable for `len` octets, and nobody else's.
    pub(super) unsafe fn from_shared(shared: *const u8, private: *mut u8, len: usize) {
        // SAFETY: passed on.
        unsafe { copy(shared, private, len) }
    }

    #[cfg(test)]
    pub(super) unsafe fn narrow(src: *const u8, dst: *mut u8, len: usize) {
        // SAFETY: passed on.
        unsafe { sse(src, dst, len) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod imp {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// # Safety
    /// As the callers in the parent: `shared` is aligned to 8 and writable for the length rounded up to 8.
    pub(super) unsafe fn into_shared(shared: *mut u8, private: &[u8]) {
        let words = shared.cast::<u64>();
        for (i, chunk) in private.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            // SAFETY: aligned and inside by the caller's promise; all accesses to this memory are atomics of this width.
            unsafe { AtomicU64::from_ptr(words.add(i)) }.store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    /// # Safety
    /// As [`into_shared`], readable; `private` is writable for `len` octets, and nobody else's.
    pub(super) unsafe fn from_shared(shared: *const u8, private: *mut u8, len: usize) {
        let words = shared.cast_mut().cast::<u64>();
        for at in (0..len).step_by(8) {
            // SAFETY: as in `into_shared`; only loaded.
            let word =
                unsafe { AtomicU64::from_ptr(words.add(at / 8)) }.load(Ordering::Relaxed).to_ne_bytes();
            // SAFETY: no more than `len` octets are written, by the caller's promise.
            unsafe { std::ptr::copy_nonoverlapping(word.as_ptr(), private.add(at), (len - at).min(8)) };
        }
    }
}

/// Copies a slice into shared memory.
///
/// # Safety
/// `shared` is aligned to 8, mapped and writable for the length of the slice rounded up to a multiple of 8.
#[inline]
pub(crate) unsafe fn into_shared(shared: *mut u8, private: &[u8]) {
    // SAFETY: the caller's promise; a slice of ours does not overlap with the mapping.
    unsafe { imp::into_shared(shared, private) }
}

/// Fills a slice from shared memory.
///
/// # Safety
/// `shared` is aligned to 8, mapped and readable for the length of the slice rounded up to a multiple of 8.
#[inline]
pub(crate) unsafe fn from_shared(shared: *const u8, private: &mut [u8]) {
    // SAFETY: the caller's promise; a slice of ours is writable and does not overlap with the mapping.
    unsafe { imp::from_shared(shared, private.as_mut_ptr(), private.len()) }
}

/// Appends `len` octets of shared memory to a vector.
///
/// # Safety
/// As [`from_shared`], for `len`.
#[inline]
pub(crate) unsafe fn append_shared(shared: *const u8, len: usize, private: &mut Vec<u8>) {
    private.reserve(len);
    let spare = private.spare_capacity_mut().as_mut_ptr().cast::<u8>();
    // SAFETY: the caller's promise for `shared`; there is room for `len` octets, just reserved, and all of them are written before they
    // count as the vector's.
    unsafe {
        imp::from_shared(shared, spare, len);
        private.set_len(private.len() + len);
    }
}

/// Copies as a sender does, for benchmarks: `to` stands for the ring.
pub fn bench_in(to: &mut [u64], from: &[u8]) {
    assert!(from.len() <= to.len() * 8);
    // SAFETY: aligned, and as long as the slice says.
    unsafe { into_shared(to.as_mut_ptr().cast(), from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length around every threshold, at every alignment of the private side, and not one octet too many.
    #[test]
    fn copies_exactly() {
        let src: Vec<u8> = (0..5000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        for len in (0..700).chain([1500, 1514, 1599, 1600, 1601, 4095, 4096, 4097]) {
            for shift in [0, 1, 31] {
                let mut shared = vec![0xeeu64; 700];
                let p = shared.as_mut_ptr().cast::<u8>();
                // SAFETY: 5600 octets of a vector of u64s, longer than `len` rounded up.
                unsafe { into_shared(p, &src[shift..shift + len]) };
                let octets: Vec<u8> = shared.iter().flat_map(|w| w.to_ne_bytes()).collect();
                assert_eq!(&octets[..len], &src[shift..shift + len], "into, {len} octets");
                assert_eq!(octets[len.next_multiple_of(8)], 0xee, "into, {len} octets");
                let mut back = vec![0xdd; shift + len + 1];
                // SAFETY: as above.
                unsafe { from_shared(p, &mut back[shift..shift + len]) };
                assert_eq!(&back[shift..shift + len], &src[shift..shift + len], "from, {len} octets");
                assert!(back[..shift].iter().all(|&b| b == 0xdd) && back[shift + len] == 0xdd);
                #[cfg(target_arch = "x86_64")]
                if len >= 64 {
                    let mut narrow = vec![0xdd; len + 1];
                    // SAFETY: both are longer than `len`, which is at least 64.
                    unsafe { imp::narrow(p, narrow.as_mut_ptr(), len) };
                    assert_eq!(&narrow[..len], &src[shift..shift + len]);
                    assert_eq!(narrow[len], 0xdd);
                }
            }
        }
    }
}
