//! Classic BPF: the programs that choose which packets a socket gets, and how much of each (SO_ATTACH_FILTER).
//!
//! McCanne and Jacobson 1993, with Linux's extensions: loads relative to the link or network header, and of what is
//! known beside the packet (`SKF_AD_*`). [`Program::new`] takes only what is sound: jumps go forward and stay inside,
//! the last instruction returns, scratch memory is written before it is read, nothing divides by a constant zero.
//! So every program ends, whatever the packet; a load beyond the packet ends it with 0, which drops the packet.
//!
//! Not here: extended BPF, and Netlink attributes, queues, marks, hashes and processors as ancillary data, of which
//! there are none (they read as 0).

use std::sync::Arc;

/// Most instructions of a program (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;
/// Words of scratch memory (`BPF_MEMWORDS`).
const MEMORY: usize = 16;

/// Loads from here on are of ancillary data, from the network header, from the link header (`SKF_AD_OFF`,
/// `SKF_NET_OFF`, `SKF_LL_OFF`).
const ANCILLARY: i32 = -0x1000;
const NET: i32 = -0x10_0000;
const LINK: i32 = -0x20_0000;

/// One instruction as the program wrote it (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// What it does.
    pub code: u16,
    /// Instructions skipped if the condition holds.
    pub jt: u8,
    /// Instructions skipped if not.
    pub jf: u8,
    /// Its constant.
    pub k: u32,
}

/// Why a program was refused; `at` counts instructions from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// None, or more than [`MAX_INSNS`].
    #[error("{len} instructions")]
    Length {
        /// How many.
        len: usize,
    },
    /// No such instruction, or its constant is out of range.
    #[error("instruction {at} is none")]
    Insn {
        /// Which.
        at: usize,
    },
    /// A jump beyond the end.
    #[error("instruction {at} jumps beyond the end")]
    Jump {
        /// Which.
        at: usize,
    },
    /// Scratch memory is read that may not have been written.
    #[error("instruction {at} reads memory that was not written")]
    Memory {
        /// Which.
        at: usize,
    },
    /// The last instruction is no return.
    #[error("the last instruction does not return")]
    NoReturn,
}

/// A packet as a program sees it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// All octets that there are.
    pub octets: &'a [u8],
    /// Where in them the program's offset 0 is.
    pub data: usize,
    /// Where the network header is.
    pub net: usize,
    /// Where the link header is, if there is one.
    pub link: Option<usize>,
    /// EtherType.
    pub protocol: u16,
    /// `PACKET_HOST` ….
    pub packet_type: u8,
    /// The interface's number.
    pub ifindex: u32,
    /// `ARPHRD_ETHER` ….
    pub hatype: u16,
    /// A number for those who sample.
    pub random: u32,
}

impl<'a> View<'a> {
    /// Octets that are no packet of a link's or of IP's, as of netlink.
    pub fn plain(octets: &'a [u8]) -> View<'a> {
        View {
            octets,
            data: 0,
            net: 0,
            link: None,
            protocol: 0,
            packet_type: 0,
            ifindex: 0,
            hatype: 0,
            random: 0,
        }
    }
}

/// A sound program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    ops: Arc<[Op]>,
    /// As it was given.
    insns: Arc<[Insn]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Word,
    Half,
    Byte,
}

/// What is known beside the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ancillary {
    Protocol,
    PacketType,
    Ifindex,
    Hatype,
    Random,
    /// Where the payload behind the transport header begins.
    PayOffset,
    /// What no packet here has.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    Lsh,
    Rsh,
    Mod,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Eq,
    Gt,
    Ge,
    Set,
}

/// The second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Src {
    K(u32),
    X,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    LdAbs(Size, u32),
    LdInd(Size, u32),
    LdAncillary(Ancillary),
    /// A ^= X, spelt as a load (`SKF_AD_ALU_XOR_X`).
    XorX,
    LdLen,
    LdImm(u32),
    LdMem(usize),
    LdxLen,
    LdxImm(u32),
    LdxMem(usize),
    /// Four times the low half of an octet: an IPv4 header's length.
    LdxMsh(u32),
    St(usize),
    Stx(usize),
    Alu(Arith, Src),
    Neg,
    /// To an instruction, from 0.
    Ja(usize),
    Jump {
        test: Test,
        src: Src,
        yes: usize,
        no: usize,
    },
    RetK(u32),
    RetA,
    Tax,
    Txa,
}

impl Program {
    /// Checks a program, as Linux does (`bpf_check_classic`).
    pub fn new(insns: &[Insn]) -> Result<Program, ProgramError> {
        if insns.is_empty() || insns.len() > MAX_INSNS {
            return Err(ProgramError::Length { len: insns.len() });
        }
        let ops: Vec<Op> =
            insns.iter().enumerate().map(|(at, insn)| decode(*insn, at)).collect::<Result<_, _>>()?;
        // What is known to have been written, on every way to an instruction.
        let mut written = vec![u16::MAX; ops.len()];
        let mut now = 0u16;
        for (at, op) in ops.iter().enumerate() {
            now &= written[at];
            let mut reach = |to: usize, now: u16| match written.get_mut(to) {
                Some(written) => {
                    *written &= now;
                    Ok(())
                }
                None => Err(ProgramError::Jump { at }),
            };
            match *op {
                Op::St(n) | Op::Stx(n) => now |= 1 << n,
                Op::LdMem(n) | Op::LdxMem(n) if now & 1 << n == 0 => {
                    return Err(ProgramError::Memory { at });
                }
                Op::Ja(to) => {
                    reach(to, now)?;
                    now = u16::MAX;
                }
                Op::Jump { yes, no, .. } => {
                    reach(yes, now)?;
                    reach(no, now)?;
                    now = u16::MAX;
                }
                _ => {}
            }
        }
        match ops.last() {
            Some(Op::RetK(_) | Op::RetA) => Ok(Program { ops: ops.into(), insns: insns.into() }),
            Some(_) | None => Err(ProgramError::NoReturn),
        }
    }

    /// Its instructions, as it was given them.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// How many octets of the packet are wanted; 0: not the packet at all.
    pub fn run(&self, view: &View<'_>) -> u32 {
        self.evaluate(view).unwrap_or(0)
    }

    fn evaluate(&self, view: &View<'_>) -> Option<u32> {
        let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; MEMORY]);
        let len = (view.octets.len().saturating_sub(view.data)) as u32;
        let mut pc = 0;
        loop {
            let op = *self.ops.get(pc)?;
            pc += 1;
            match op {
                Op::LdAbs(size, k) => a = view.load(size, k as i32)?,
                Op::LdInd(size, k) => a = view.load(size, (k as i32).wrapping_add(x as i32))?,
                Op::LdAncillary(what) => a = view.ancillary(what),
                Op::XorX => a ^= x,
                Op::LdLen => a = len,
                Op::LdImm(k) => a = k,
                Op::LdMem(n) => a = memory[n],
                Op::LdxLen => x = len,
                Op::LdxImm(k) => x = k,
                Op::LdxMem(n) => x = memory[n],
                Op::LdxMsh(k) => x = (view.load(Size::Byte, k as i32)? & 0xf) * 4,
                Op::St(n) => memory[n] = a,
                Op::Stx(n) => memory[n] = x,
                Op::Alu(arith, src) => a = arith.apply(a, src.value(x))?,
                Op::Neg => a = a.wrapping_neg(),
                Op::Ja(to) => pc = to,
                Op::Jump { test, src, yes, no } => {
                    pc = if test.holds(a, src.value(x)) { yes } else { no };
                }
                Op::RetK(k) => return Some(k),
                Op::RetA => return Some(a),
                Op::Tax => x = a,
                Op::Txa => a = x,
            }
        }
    }
}

impl Src {
    fn value(self, x: u32) -> u32 {
        match self {
            Src::K(k) => k,
            Src::X => x,
        }
    }
}

impl Arith {
    /// `None`: a division by zero, which ends the program.
    fn apply(self, a: u32, b: u32) -> Option<u32> {
        Some(match self {
            Arith::Add => a.wrapping_add(b),
            Arith::Sub => a.wrapping_sub(b),
            Arith::Mul => a.wrapping_mul(b),
            Arith::Div => a.checked_div(b)?,
            Arith::Or => a | b,
            Arith::And => a & b,
            Arith::Lsh => a.wrapping_shl(b),
            Arith::Rsh => a.wrapping_shr(b),
            Arith::Mod => a.checked_rem(b)?,
            Arith::Xor => a ^ b,
        })
    }
}

impl Test {
    fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Test::Eq => a == b,
            Test::Gt => a > b,
            Test::Ge => a >= b,
            Test::Set => a & b != 0,
        }
    }
}

impl View<'_> {
    /// Octets at an offset, in network order; `None`: they are not there.
    fn load(&self, size: Size, offset: i32) -> Option<u32> {
        let (base, offset) = match offset {
            0.. => (self.data, offset),
            NET..0 => (self.net, offset - NET),
            LINK..NET => (self.link?, offset - LINK),
            i32::MIN..LINK => return None,
        };
        let octets = self.octets.get(base.checked_add(offset as usize)?..)?;
        match size {
            Size::Word => octets.first_chunk().map(|octets| u32::from_be_bytes(*octets)),
            Size::Half => octets.first_chunk().map(|octets| u16::from_be_bytes(*octets).into()),
            Size::Byte => octets.first().map(|octet| (*octet).into()),
        }
    }

    fn ancillary(&self, what: Ancillary) -> u32 {
        match what {
            Ancillary::Protocol => self.protocol.into(),
            Ancillary::PacketType => self.packet_type.into(),
            Ancillary::Ifindex => self.ifindex,
            Ancillary::Hatype => self.hatype.into(),
            Ancillary::Random => self.random,
            Ancillary::PayOffset => self.pay_offset(),
            Ancillary::None => 0,
        }
    }

    /// Where behind the transport header of an IPv4 packet the payload begins; 0 if that is not known.
    fn pay_offset(&self) -> u32 {
        let at = |offset: usize| self.octets.get(self.net + offset).copied();
        let Some(first @ 0x45..=0x4f) = at(0) else { return 0 };
        let transport = usize::from(first & 0xf) * 4;
        let header = match at(9) {
            Some(6) => at(transport + 12).map_or(0, |octet| usize::from(octet >> 4) * 4),
            Some(1 | 17) => 8,
            Some(_) | None => 0,
        };
        (self.net + transport + header).saturating_sub(self.data) as u32
    }
}

/// Classes, sizes and modes, as `linux/bpf_common.h` has them.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
const BYTE: u16 = 0x10;
const HALF: u16 = 0x08;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const MSH: u16 = 0xa0;
const X: u16 = 0x08;

fn decode(insn: Insn, at: usize) -> Result<Op, ProgramError> {
    let Insn { code, jt, jf, k } = insn;
    let bad = ProgramError::Insn { at };
    let slot = || usize::try_from(k).ok().filter(|n| *n < MEMORY).ok_or(bad);
    let to = |skip: usize| at.checked_add(1 + skip).ok_or(ProgramError::Jump { at });
    let size = match code & 0x18 {
        0 => Some(Size::Word),
        HALF => Some(Size::Half),
        BYTE => Some(Size::Byte),
        _ => None,
    };
    let src = if code & X == 0 { Src::K(k) } else { Src::X };
    const LD_ABS: u16 = LD | ABS;
    const LD_IND: u16 = LD | IND;
    const LD_MEM: u16 = LD | MEM;
    const LD_LEN: u16 = LD | LEN;
    const LDX_MEM: u16 = LDX | MEM;
    const LDX_LEN: u16 = LDX | LEN;
    const LDX_MSH: u16 = LDX | MSH | BYTE;
    const RET_A: u16 = RET | 0x10;
    const TXA: u16 = MISC | 0x80;
    Ok(match (code, code & !0x18) {
        (LD, _) => Op::LdImm(k),
        (LD_MEM, _) => Op::LdMem(slot()?),
        (LD_LEN, _) => Op::LdLen,
        (LDX, _) => Op::LdxImm(k),
        (LDX_MEM, _) => Op::LdxMem(slot()?),
        (LDX_LEN, _) => Op::LdxLen,
        (LDX_MSH, _) => Op::LdxMsh(k),
        (ST, _) => Op::St(slot()?),
        (STX, _) => Op::Stx(slot()?),
        (RET, _) => Op::RetK(k),
        (RET_A, _) => Op::RetA,
        (MISC, _) => Op::Tax,
        (TXA, _) => Op::Txa,
        (_, LD_ABS) => match k as i32 {
            ANCILLARY..0 => ancillary(k as i32 - ANCILLARY).ok_or(bad)?,
            i32::MIN..ANCILLARY | 0.. => Op::LdAbs(size.ok_or(bad)?, k),
        },
        (_, LD_IND) => Op::LdInd(size.ok_or(bad)?, k),
        (_, _) if code & !0xf8 == ALU => match (code & 0xf0, src) {
            (0x00, _) => Op::Alu(Arith::Add, src),
            (0x10, _) => Op::Alu(Arith::Sub, src),
            (0x20, _) => Op::Alu(Arith::Mul, src),
            (0x30 | 0x90, Src::K(0)) => return Err(bad),
            (0x30, _) => Op::Alu(Arith::Div, src),
            (0x40, _) => Op::Alu(Arith::Or, src),
            (0x50, _) => Op::Alu(Arith::And, src),
            (0x60 | 0x70, Src::K(32..)) => return Err(bad),
            (0x60, _) => Op::Alu(Arith::Lsh, src),
            (0x70, _) => Op::Alu(Arith::Rsh, src),
            (0x80, Src::K(_)) => Op::Neg,
            (0x90, _) => Op::Alu(Arith::Mod, src),
            (0xa0, _) => Op::Alu(Arith::Xor, src),
            _ => return Err(bad),
        },
        (_, _) if code & !0xf8 == JMP => {
            let test = match (code & 0xf0, src) {
                (0x00, Src::K(k)) => return Ok(Op::Ja(to(k as usize)?)),
                (0x10, _) => Test::Eq,
                (0x20, _) => Test::Gt,
                (0x30, _) => Test::Ge,
                (0x40, _) => Test::Set,
                _ => return Err(bad),
            };
            Op::Jump { test, src, yes: to(jt.into())?, no: to(jf.into())? }
        }
        _ => return Err(bad),
    })
}

/// `SKF_AD_*`
fn ancillary(which: i32) -> Option<Op> {
    let what = match which {
        0 => Ancillary::Protocol,
        4 => Ancillary::PacketType,
        8 => Ancillary::Ifindex,
        28 => Ancillary::Hatype,
        // Netlink attributes, mark, queue, receive hash, processor, VLAN tag, whether there is one, its type.
        12 | 16 | 20 | 24 | 32 | 36 | 44 | 48 | 60 => Ancillary::None,
        40 => return Some(Op::XorX),
        52 => Ancillary::PayOffset,
        56 => Ancillary::Random,
        _ => return None,
    };
    Some(Op::LdAncillary(what))
}

#[cfg(test)]
mod tests;
