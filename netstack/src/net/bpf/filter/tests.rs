//! Programs that other tools compiled, rules of soundness one by one, and the law that any program ends.

use super::*;
use proptest::prelude::*;

fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
    Insn { code, jt, jf, k }
}

fn view(octets: &[u8]) -> View<'_> {
    View {
        octets,
        data: 0,
        net: 14,
        link: Some(0),
        protocol: 0x800,
        packet_type: 4,
        ifindex: 2,
        hatype: 1,
        random: 7,
    }
}

fn run(insns: &[Insn], octets: &[u8]) -> u32 {
    Program::new(insns).unwrap().run(&view(octets))
}

/// A UDP datagram from port 53 to port 4660 in 20 octets of IPv4 header.
fn datagram() -> Vec<u8> {
    let mut frame = vec![0; 14];
    frame[12..].copy_from_slice(&[8, 0]);
    frame.extend([0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([0, 53, 0x12, 0x34, 0, 10, 0, 0, 0xaa, 0xbb]);
    frame
}

/// `tcpdump -dd ip and udp port 53`
const UDP_PORT_53: [Insn; 13] = [
    Insn { code: 0x28, jt: 0, jf: 0, k: 12 },
    Insn { code: 0x15, jt: 0, jf: 10, k: 0x800 },
    Insn { code: 0x30, jt: 0, jf: 0, k: 23 },
    Insn { code: 0x15, jt: 0, jf: 8, k: 17 },
    Insn { code: 0x28, jt: 0, jf: 0, k: 20 },
    Insn { code: 0x45, jt: 6, jf: 0, k: 0x1fff },
    Insn { code: 0xb1, jt: 0, jf: 0, k: 14 },
    Insn { code: 0x48, jt: 0, jf: 0, k: 14 },
    Insn { code: 0x15, jt: 2, jf: 0, k: 53 },
    Insn { code: 0x48, jt: 0, jf: 0, k: 16 },
    Insn { code: 0x15, jt: 0, jf: 1, k: 53 },
    Insn { code: 0x06, jt: 0, jf: 0, k: 262_144 },
    Insn { code: 0x06, jt: 0, jf: 0, k: 0 },
];

#[test]
fn a_compiled_filter_chooses() {
    assert_eq!(run(&UDP_PORT_53, &datagram()), 262_144);
    for (at, octet) in [(13, 6), (23, 6), (21, 1), (35, 54)] {
        let mut other = datagram();
        other[at] = octet;
        assert_eq!(run(&UDP_PORT_53, &other), 0, "octet {at}");
    }
    assert_eq!(run(&UDP_PORT_53, &datagram()[..35]), 0, "a load beyond the packet");
}

#[test]
fn loads_reach_headers_and_what_is_known_besides() {
    let load = |code: u16, k: i32| run(&[insn(code, 0, 0, k as u32), insn(0x16, 0, 0, 0)], &datagram());
    let (word, half, byte) = (0x20, 0x28, 0x30);
    assert_eq!(load(word, 26), 0xc000_0201);
    assert_eq!(load(byte, NET + 9), 17);
    assert_eq!(load(half, LINK + 12), 0x800);
    assert_eq!(load(word, ANCILLARY), 0x800);
    assert_eq!(load(byte, ANCILLARY + 4), 4);
    assert_eq!(load(word, ANCILLARY + 8), 2);
    assert_eq!(load(word, ANCILLARY + 28), 1);
    assert_eq!(load(word, ANCILLARY + 52), 42, "payload");
    assert_eq!(load(word, i32::MIN), 0);
    assert_eq!(load(0x80, 0), 44, "length");
    let frame = datagram();
    let without_link = View { data: 34, link: None, ..view(&frame) };
    let program = |k: i32| Program::new(&[insn(half, 0, 0, k as u32), insn(0x16, 0, 0, 0)]).unwrap();
    assert_eq!(program(2).run(&without_link), 0x1234);
    assert_eq!(program(LINK).run(&without_link), 0);
}

#[test]
fn arithmetic_is_of_32_bits() {
    let alu = |code: u16, a: u32, x: u32| {
        let program = [insn(0, 0, 0, a), insn(1, 0, 0, x), insn(4 | 8 | code, 0, 0, 0), insn(0x16, 0, 0, 0)];
        run(&program, &[])
    };
    assert_eq!(alu(0x00, u32::MAX, 2), 1);
    assert_eq!(alu(0x10, 1, 2), u32::MAX);
    assert_eq!(alu(0x20, 1 << 31, 3), 1 << 31);
    assert_eq!(alu(0x30, 7, 2), 3);
    assert_eq!(alu(0x90, 7, 4), 3);
    assert_eq!(alu(0xa0, 6, 3), 5);
    assert_eq!(alu(0x60, 1, 4), 16);
    assert_eq!(alu(0x30, 7, 0), 0, "a division by zero drops the packet");
}

#[test]
fn unsound_programs_are_refused() {
    let ret = insn(6, 0, 0, 1);
    let refused = |program: &[Insn]| Program::new(program).unwrap_err();
    assert_eq!(refused(&[]), ProgramError::Length { len: 0 });
    assert_eq!(refused(&vec![ret; MAX_INSNS + 1]), ProgramError::Length { len: MAX_INSNS + 1 });
    assert_eq!(refused(&[insn(0, 0, 0, 1)]), ProgramError::NoReturn);
    // x = M[3], a = M[16], a /= 0, a <<= 32, an unknown ancillary word, a return of X, no instruction.
    assert_eq!(refused(&[insn(0x61, 0, 0, 3), ret]), ProgramError::Memory { at: 0 });
    for bad in [
        insn(0x60, 0, 0, 16),
        insn(0x34, 0, 0, 0),
        insn(0x64, 0, 0, 32),
        insn(0x20, 0, 0, (ANCILLARY + 2) as u32),
        insn(0x0e, 0, 0, 0),
        insn(0xffff, 0, 0, 0),
    ] {
        assert_eq!(refused(&[bad, ret]), ProgramError::Insn { at: 0 }, "{bad:?}");
    }
    for jump in [insn(5, 0, 0, 1), insn(5, 0, 0, u32::MAX), insn(0x15, 0, 1, 0), insn(0x15, 1, 0, 0)] {
        assert_eq!(refused(&[jump, ret]), ProgramError::Jump { at: 0 }, "{jump:?}");
    }
    // Written on one way only.
    let program = [insn(0x15, 0, 1, 0), insn(2, 0, 0, 5), insn(0x60, 0, 0, 5), ret];
    assert_eq!(refused(&program), ProgramError::Memory { at: 2 });
    let program = [insn(0x15, 1, 1, 0), insn(2, 0, 0, 5), insn(2, 0, 0, 5), insn(0x60, 0, 0, 5), ret];
    Program::new(&program).unwrap();
}

/// Instructions that are mostly sound, so that programs of some length come through.
fn any_insn() -> impl Strategy<Value = Insn> {
    let codes = prop::sample::select(vec![
        0x20u16, 0x28, 0x30, 0x40, 0x48, 0x50, 0, 0x60, 0x80, 1, 0x61, 0x81, 0xb1, 2, 3, 4, 0x14, 0x24, 0x3c,
        0x44, 0x54, 0x64, 0x74, 0x84, 0x9c, 0xac, 5, 0x15, 0x1d, 0x25, 0x35, 0x45, 6, 0x16, 7, 0x87,
    ]);
    let k = prop_oneof![
        0u32..20,
        0u32..70,
        any::<u32>(),
        (0..70i32).prop_map(|n| (ANCILLARY + n) as u32),
        (0..70i32).prop_map(|n| (NET + n) as u32),
        (-70..70i32).prop_map(|n| (LINK + n) as u32),
    ];
    (prop_oneof![9 => codes, 1 => any::<u16>()], 0u8..6, 0u8..6, k).prop_map(|(code, jt, jf, k)| Insn {
        code,
        jt,
        jf,
        k,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Whatever is accepted ends, on whatever packet; that it does is that this test does.
    #[test]
    fn accepted_programs_end(
        insns in prop::collection::vec(any_insn(), 1..12),
        octets in prop::collection::vec(any::<u8>(), 0..80),
        (data, net, link) in (0usize..90, 0usize..90, prop::option::of(0usize..90)),
    ) {
        let program = insns.iter().copied().chain([insn(6, 0, 0, 9)]).collect::<Vec<_>>();
        if let Ok(program) = Program::new(&program) {
            let view = View { octets: &octets, data, net, link, ..view(&octets) };
            prop_assert_eq!(program.run(&view), program.run(&view));
        }
    }

    /// A load is what stands there.
    #[test]
    fn loads_equal_a_slice(octets in prop::collection::vec(any::<u8>(), 0..40), at in 0u32..45) {
        let want = octets.get(at as usize..at as usize + 4).map_or(0, |o| u32::from_be_bytes(o.try_into().unwrap()));
        prop_assert_eq!(run(&[insn(0x20, 0, 0, at), insn(0x16, 0, 0, 0)], &octets), want);
        let indirect = [insn(1, 0, 0, at), insn(0x40, 0, 0, 0), insn(0x16, 0, 0, 0)];
        prop_assert_eq!(run(&indirect, &octets), want);
    }
}
