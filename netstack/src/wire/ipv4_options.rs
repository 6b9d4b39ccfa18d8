//! IPv4 options: RFC 791 §3.1, RFC 2113 (router alert), RFC 7126 (what to do with them).

use super::be32;
use std::net::Ipv4Addr;

/// Option types.
pub mod kind {
    /// End of list.
    pub const END: u8 = 0;
    /// Nothing.
    pub const NOP: u8 = 1;
    /// Record route.
    pub const RECORD_ROUTE: u8 = 7;
    /// Timestamp.
    pub const TIMESTAMP: u8 = 68;
    /// Loose source and record route.
    pub const LSRR: u8 = 131;
    /// Strict source and record route.
    pub const SSRR: u8 = 137;
    /// Router alert.
    pub const ROUTER_ALERT: u8 = 148;
}

/// Octets of the longest options (a header has 60 at most).
pub const MAX_LEN: usize = 40;

/// The bit of an option's type that says: copy it into every fragment.
pub const COPIED: u8 = 0x80;

/// One option: its type, where it begins (from the first octet of the options) and its octets
/// (type and length included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt {
    /// Type octet.
    pub kind: u8,
    /// Offset in the options.
    pub at: usize,
    /// Octets, type and length included.
    pub len: usize,
}

/// An option whose length or pointer is wrong: the offset of the wrong octet, counted from the
/// first octet of the options (a parameter problem points there).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed option at octet {at}")]
pub struct BadOption {
    /// Offset in the options.
    pub at: usize,
}

/// Walks over the options; stops at the end of the list or after the first wrong one.
pub fn iter(options: &[u8]) -> impl Iterator<Item = Result<Opt, BadOption>> + '_ {
    let mut at = 0;
    core::iter::from_fn(move || {
        loop {
            let kind = *options.get(at)?;
            match kind {
                kind::END => {
                    at = options.len();
                    return None;
                }
                kind::NOP => at += 1,
                _ => {
                    let len = options.get(at + 1).map_or(0, |&l| usize::from(l));
                    let begin = at;
                    if len < 2 || begin + len > options.len() {
                        at = options.len();
                        return Some(Err(BadOption { at: begin + 1 }));
                    }
                    at += len;
                    return Some(Ok(Opt { kind, at: begin, len }));
                }
            }
        }
    })
}

/// What an address-recording option did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The address went in.
    Yes,
    /// There was no room left.
    Full,
}

/// Whether all options are well formed, those that record included.
pub fn check(options: &[u8]) -> Result<(), BadOption> {
    let mut scratch = [0; MAX_LEN];
    for opt in iter(options) {
        let opt = opt?;
        let octets = &mut scratch[..opt.len];
        octets.copy_from_slice(&options[opt.at..opt.at + opt.len]);
        record_one(opt.kind, octets, Ipv4Addr::UNSPECIFIED, 0, |_| true)
            .map_err(|bad| BadOption { at: opt.at + bad.at })?;
    }
    Ok(())
}

/// Records `addr` and the time `ms` in every option that asks for it; whether one does. Malformed
/// options are left as they are.
pub fn record(options: &mut [u8], addr: Ipv4Addr, ms: u32, is_ours: impl Fn(Ipv4Addr) -> bool) -> bool {
    let mut at = 0;
    let mut any = false;
    loop {
        let next = iter(&options[at..]).next();
        let Some(Ok(opt)) = next else { return any };
        let begin = at + opt.at;
        let recorded = record_one(opt.kind, &mut options[begin..begin + opt.len], addr, ms, &is_ours);
        any |= recorded.is_ok_and(|r| r.is_some());
        at = begin + opt.len;
    }
}

fn record_one(
    kind: u8,
    opt: &mut [u8],
    addr: Ipv4Addr,
    ms: u32,
    is_ours: impl Fn(Ipv4Addr) -> bool,
) -> Result<Option<Recorded>, BadOption> {
    match kind {
        kind::RECORD_ROUTE => record_route(opt, addr).map(Some),
        kind::TIMESTAMP => record_timestamp(opt, addr, ms, is_ours).map(Some),
        // Router alert, and what we do not know: RFC 1122 §3.2.1.8, passed on unchanged.
        _ => Ok(None),
    }
}

/// The options of an echo reply: RFC 1122 §3.2.2.6, the records of the way there go on. Returns
/// octets of `out` that are used, a multiple of four.
pub fn echo(options: &[u8], out: &mut [u8; MAX_LEN]) -> usize {
    let mut len = 0;
    for opt in iter(options).flatten().filter(|o| matches!(o.kind, kind::RECORD_ROUTE | kind::TIMESTAMP)) {
        out[len..len + opt.len].copy_from_slice(&options[opt.at..opt.at + opt.len]);
        len += opt.len;
    }
    let padded = len.next_multiple_of(4);
    out[len..padded].fill(kind::END);
    padded
}

/// Puts `addr` into a record-route option (`opt` is the whole option).
pub fn record_route(opt: &mut [u8], addr: Ipv4Addr) -> Result<Recorded, BadOption> {
    let pointer = usize::from(*opt.get(2).ok_or(BadOption { at: 1 })?);
    if pointer < 4 {
        return Err(BadOption { at: 2 });
    }
    if pointer > opt.len() {
        return Ok(Recorded::Full);
    }
    let Some(slot) = opt.get_mut(pointer - 1..pointer + 3) else { return Err(BadOption { at: 2 }) };
    slot.copy_from_slice(&addr.octets());
    opt[2] = (pointer + 4) as u8;
    Ok(Recorded::Yes)
}

/// Puts a time, with `addr` if the option's flag asks for it, into a timestamp option; `is_ours`
/// answers for prespecified addresses. `ms` is milliseconds since midnight UT.
pub fn record_timestamp(
    opt: &mut [u8],
    addr: Ipv4Addr,
    ms: u32,
    is_ours: impl Fn(Ipv4Addr) -> bool,
) -> Result<Recorded, BadOption> {
    if opt.len() < 4 {
        return Err(BadOption { at: 1 });
    }
    let pointer = usize::from(opt[2]);
    if pointer < 5 {
        return Err(BadOption { at: 2 });
    }
    let (flag, overflow) = (opt[3] & 0xf, opt[3] >> 4);
    let step = match flag {
        0 => 4,
        1 | 3 => 8,
        _ => return Err(BadOption { at: 3 }),
    };
    if pointer > opt.len() {
        // Count those who found no room; a counter that overflows is an error (RFC 791).
        if overflow == 15 {
            return Err(BadOption { at: 3 });
        }
        opt[3] += 0x10;
        return Ok(Recorded::Full);
    }
    let Some(slot) = opt.get_mut(pointer - 1..pointer - 1 + step) else { return Err(BadOption { at: 2 }) };
    if flag == 3 && !is_ours(Ipv4Addr::from(be32(slot, 0))) {
        return Ok(Recorded::Yes);
    }
    if flag == 1 {
        slot[..4].copy_from_slice(&addr.octets());
    }
    let time = step - 4;
    slot[time..].copy_from_slice(&ms.to_be_bytes());
    opt[2] = (pointer + step) as u8;
    Ok(Recorded::Yes)
}

/// Turns the options of a first fragment into those of the later ones: what is not to be copied
/// becomes NOP (RFC 791 §3.2). Malformed options end the list.
pub fn clear_uncopied(options: &mut [u8]) {
    let mut clear: [(usize, usize); 20] = [(0, 0); 20];
    let mut n = 0;
    for opt in iter(options) {
        match opt {
            Ok(o) if o.kind & COPIED == 0 => {
                clear[n] = (o.at, o.len);
                n += 1;
            }
            Ok(_) => {}
            Err(bad) => {
                clear[n] = (bad.at - 1, options.len() - (bad.at - 1));
                n += 1;
            }
        }
    }
    for &(at, len) in &clear[..n] {
        options[at..at + len].fill(kind::NOP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the octets: options lie inside, one behind the other, and recording stays inside.
        #[test]
        fn any_octets_are_walked(mut octets in prop::collection::vec(any::<u8>(), 0..=40)) {
            let mut end = 0;
            for o in iter(&octets).flatten() {
                prop_assert!(o.at >= end && o.len >= 2);
                end = o.at + o.len;
                prop_assert!(end <= octets.len());
                let mut copy = octets[o.at..end].to_vec();
                let _ = record_route(&mut copy, Ipv4Addr::LOCALHOST);
                let mut copy = octets[o.at..end].to_vec();
                let _ = record_timestamp(&mut copy, Ipv4Addr::LOCALHOST, 7, |_| true);
            }
            let well_formed = check(&octets).is_ok();
            record(&mut octets, Ipv4Addr::LOCALHOST, 7, |_| true);
            let mut out = [7; MAX_LEN];
            let len = echo(&octets, &mut out);
            prop_assert!(len.is_multiple_of(4) && iter(&out[..len]).all(|o| o.is_ok()));
            prop_assert!(!well_formed || iter(&octets).all(|o| o.is_ok()));
            clear_uncopied(&mut octets);
            prop_assert!(iter(&octets).all(|o| o.is_ok_and(|o| o.kind & COPIED != 0)));
        }
    }
}
