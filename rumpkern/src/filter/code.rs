//! What a filter is compiled to, and how it is run over a frame.
//!
//! The leaves are what the Berkeley packet filter does: compare an octet, a half word or a word at an offset, or a 32-bit
//! sum of such loads. A load beyond the end of the frame ends the run with "no match", also below a `not`, because that is
//! what everybody's `tcpdump` does. The fields of [`super::field`] are the other kind of leaf: they look through tags and
//! extension headers, and are simply absent where they are absent.

use std::cell::OnceCell;

use etherparse::LaxSlicedPacket;

use super::field::FieldTest;
use serde::{Deserialize, Serialize};

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Node {
    /// All of them hold, asked in this order.
    All(Vec<Node>),
    /// One of them holds.
    Any(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// `[at:width] & mask REL value`
    Octets {
        /// Where.
        at: At,
        /// How many.
        width: Width,
        /// Which of their bits.
        mask: u32,
        /// How they compare ...
        rel: Rel,
        /// ... with this.
        value: u32,
    },
    /// `left REL right` where every guard holds; false where one does not.
    Arith {
        /// What must hold first.
        guards: Vec<Node>,
        /// A sum ...
        left: Arith,
        /// ... and how it compares ...
        rel: Rel,
        /// ... with another.
        right: Arith,
    },
    /// A field of a header.
    Field(FieldTest),
}

/// Where a load begins, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// From the start of the frame.
    Frame(u32),
    /// From the end of the IPv4 header that begins at `ip`.
    Transport {
        /// Where that begins.
        ip: u32,
        /// How far behind its end.
        offset: u32,
    },
}

/// How many octets a load takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Width {
    /// An octet.
    One = 1,
    /// A half word.
    Two = 2,
    /// A word.
    Four = 4,
}

/// A 32-bit unsigned sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arith {
    /// A number.
    Number(u32),
    /// `len`: octets of the frame.
    Length,
    /// `proto[index:width]`
    Load {
        /// Where the header begins.
        from: At,
        /// How far behind that.
        index: Box<Arith>,
        /// How many octets.
        width: Width,
    },
    /// `left OP right`
    Binary {
        /// The operator.
        op: Op,
        /// Its left operand.
        left: Box<Arith>,
        /// Its right operand.
        right: Box<Arith>,
    },
}

/// An arithmetic operator on 32-bit unsigned numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rel {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `<`
    Lt,
    /// `<=`
    Le,
}

impl Rel {
    /// Whether `left REL right` holds.
    pub fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Rel::Eq => left == right,
            Rel::Ne => left != right,
            Rel::Gt => left > right,
            Rel::Ge => left >= right,
            Rel::Lt => left < right,
            Rel::Le => left <= right,
        }
    }
}

/// A load beyond the frame or a division by zero: the whole filter does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject;

/// The frame under the filter, with its headers cut at most once.
#[derive(Debug)]
pub struct Frame<'a> {
    octets: &'a [u8],
    headers: OnceCell<Option<LaxSlicedPacket<'a>>>,
}

impl<'a> Frame<'a> {
    /// A frame from its destination address, without FCS.
    pub fn new(octets: &'a [u8]) -> Frame<'a> {
        Frame { octets, headers: OnceCell::new() }
    }

    /// Octets of the frame.
    #[allow(clippy::len_without_is_empty)] // a frame has octets
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// The headers, as far as they can be cut; `None` when there is not even an Ethernet header.
    pub fn headers(&self) -> Option<&LaxSlicedPacket<'a>> {
        self.headers.get_or_init(|| LaxSlicedPacket::from_ethernet(self.octets).ok()).as_ref()
    }

    fn load(&self, at: u64, width: Width) -> Result<u32, Reject> {
        let start = usize::try_from(at).map_err(|_| Reject)?;
        let end = start.checked_add(width as usize).ok_or(Reject)?;
        let octets = self.octets.get(start..end).ok_or(Reject)?;
        Ok(octets.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)))
    }

    fn resolve(&self, at: At) -> Result<u64, Reject> {
        match at {
            At::Frame(offset) => Ok(u64::from(offset)),
            At::Transport { ip, offset } => {
                let header = 4 * (self.load(u64::from(ip), Width::One)? & 0xf);
                Ok(u64::from(ip) + u64::from(header) + u64::from(offset))
            }
        }
    }
}

impl Node {
    /// Both, the left one first.
    pub fn and(self, other: Node) -> Node {
        match self {
            Node::All(mut nodes) => {
                nodes.push(other);
                Node::All(nodes)
            }
            first => Node::All(vec![first, other]),
        }
    }

    /// Either, the left one first.
    pub fn or(self, other: Node) -> Node {
        match self {
            Node::Any(mut nodes) => {
                nodes.push(other);
                Node::Any(nodes)
            }
            first => Node::Any(vec![first, other]),
        }
    }

    /// Its contrary.
    pub fn negate(self) -> Node {
        Node::Not(Box::new(self))
    }

    /// `[offset:width] == value` from the start of the frame.
    pub fn octets(offset: u32, width: Width, value: u32) -> Node {
        Node::Octets { at: At::Frame(offset), width, mask: u32::MAX, rel: Rel::Eq, value }
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`Reject`]: nothing more is asked.
    pub fn run(&self, frame: &Frame<'_>) -> Result<bool, Reject> {
        match self {
            Node::All(nodes) => {
                for node in nodes {
                    if !node.run(frame)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Any(nodes) => {
                for node in nodes {
                    if node.run(frame)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Not(node) => Ok(!node.run(frame)?),
            Node::Octets { at, width, mask, rel, value } => {
                let found = frame.load(frame.resolve(*at)?, *width)? & mask;
                Ok(rel.holds(&found, value))
            }
            Node::Arith { guards, left, rel, right } => {
                for guard in guards {
                    if !guard.run(frame)? {
                        return Ok(false);
                    }
                }
                Ok(rel.holds(&left.value(frame)?, &right.value(frame)?))
            }
            Node::Field(test) => Ok(test.run(frame)),
        }
    }
}

impl Arith {
    fn value(&self, frame: &Frame<'_>) -> Result<u32, Reject> {
        match self {
            Arith::Number(number) => Ok(*number),
            Arith::Length => Ok(u32::try_from(frame.len()).unwrap_or(u32::MAX)),
            Arith::Load { from, index, width } => {
                let index = index.value(frame)?;
                frame.load(frame.resolve(*from)? + u64::from(index), *width)
            }
            Arith::Binary { op, left, right } => {
                let (left, right) = (left.value(frame)?, right.value(frame)?);
                match op {
                    Op::Add => Ok(left.wrapping_add(right)),
                    Op::Sub => Ok(left.wrapping_sub(right)),
                    Op::Mul => Ok(left.wrapping_mul(right)),
                    Op::Div => left.checked_div(right).ok_or(Reject),
                    Op::Mod => left.checked_rem(right).ok_or(Reject),
                    Op::And => Ok(left & right),
                    Op::Or => Ok(left | right),
                    Op::Xor => Ok(left ^ right),
                    Op::Shl => Ok(left.checked_shl(right).unwrap_or(0)),
                    Op::Shr => Ok(left.checked_shr(right).unwrap_or(0)),
                }
            }
        }
    }
}
