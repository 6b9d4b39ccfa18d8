//! The grammar: tokens to [`Node`]s.
//!
//! `and` and `or` bind equally and to the left, as in `tcpdump`; a bare value after one of them inherits the qualifiers of
//! the primitive before it (`port 80 or 443`).

use std::ops::Range;

use ipnet::IpNet;

use super::lex::{self, Kind, Token};
use super::primitive::{self, Link};
use super::words::{self, Dir, Proto, Type};
use super::{FilterFault, Resolve, Trouble, nearest};
use rumpkern::filter::code::{Arith, At, Node, Width};
use rumpkern::filter::code::{Op, Rel};
use rumpkern::filter::field::{self, FieldKind, FieldTest, Wanted};

pub(super) type Parsed<T> = Result<T, Trouble>;

/// Parentheses within parentheses.
const MAX_DEPTH: usize = 64;

/// Compiles `text`; `None` when it is blank.
pub(super) fn filter(text: &str, names: &dyn Resolve) -> Parsed<Option<Node>> {
    let tokens = lex::tokens(text)?;
    let mut parser =
        Parser { text, tokens, next: 0, names, link: Link::default(), last: Head::default(), depth: 0 };
    if *parser.peek() == Kind::End {
        return Ok(None);
    }
    let node = parser.expression()?;
    match parser.peek() {
        Kind::End => Ok(Some(node)),
        _ => Err(parser.expected("'and', 'or' or the end")),
    }
}

/// The qualifiers before a value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Head {
    pub(super) proto: Option<Proto>,
    pub(super) dir: Dir,
    pub(super) kind: Type,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
    pub(super) next: usize,
    pub(super) names: &'a dyn Resolve,
    /// How many VLAN tags the primitives from here on skip.
    pub(super) link: Link,
    /// What a bare value inherits.
    last: Head,
    depth: usize,
}

impl Parser<'_> {
    fn ahead(&self, n: usize) -> &Kind {
        self.tokens.get(self.next + n).map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn peek(&self) -> &Kind {
        self.ahead(0)
    }

    /// The word that comes next, if one does.
    pub(super) fn peek_word(&self) -> Option<&str> {
        match self.peek() {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn at(&self) -> Range<usize> {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0..0, |token| token.at.clone())
    }

    pub(super) fn bump(&mut self) {
        self.next += 1;
    }

    /// Takes the next token if it is `kind`.
    pub(super) fn take(&mut self, kind: &Kind) -> bool {
        let hit = self.peek() == kind;
        if hit {
            self.bump();
        }
        hit
    }

    fn expected(&self, expected: &'static str) -> Trouble {
        let at = self.at();
        let found = match self.text.get(at.clone()) {
            Some("") | None => "the end".to_owned(),
            Some(text) => format!("'{text}'"),
        };
        Trouble::new(FilterFault::Expected { expected, found }, at)
    }

    pub(super) fn invalid(&self, what: &'static str, found: &str, at: Range<usize>) -> Trouble {
        Trouble::new(FilterFault::Invalid { what, found: found.to_owned() }, at)
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Trouble::new(FilterFault::TooLong { limit: MAX_DEPTH }, self.at())
                .hint("too many parentheses or negations within each other"));
        }
        Ok(())
    }

    fn expression(&mut self) -> Parsed<Node> {
        let mut left = self.term()?;
        loop {
            left = match self.peek() {
                Kind::And => {
                    self.bump();
                    left.and(self.term()?)
                }
                Kind::Or => {
                    self.bump();
                    left.or(self.term()?)
                }
                _ => return Ok(left),
            };
        }
    }

    fn term(&mut self) -> Parsed<Node> {
        self.enter()?;
        let node = if self.take(&Kind::Not) { self.term()?.negate() } else { self.primitive()? };
        self.depth -= 1;
        Ok(node)
    }

    fn primitive(&mut self) -> Parsed<Node> {
        if self.starts_relation() {
            return self.relation();
        }
        let word = match self.peek() {
            Kind::Open => {
                self.bump();
                let node = self.expression()?;
                if !self.take(&Kind::Close) {
                    return Err(self.expected("'and', 'or' or ')'"));
                }
                return Ok(node);
            }
            Kind::Word(word) => word.clone(),
            Kind::And
            | Kind::Or
            | Kind::Not
            | Kind::Close
            | Kind::OpenIndex
            | Kind::CloseIndex
            | Kind::Colon
            | Kind::Op(_)
            | Kind::Rel(_)
            | Kind::End => {
                return Err(self.expected("a host, a port, a protocol or a field"));
            }
        };
        match word.as_str() {
            "vlan" => {
                self.bump();
                return self.vlan();
            }
            "less" | "greater" => {
                self.bump();
                let value = self.number("a length in octets")?;
                let rel = if word == "less" { Rel::Le } else { Rel::Ge };
                return Ok(Node::Arith {
                    guards: Vec::new(),
                    left: Arith::Length,
                    rel,
                    right: Arith::Number(value),
                });
            }
            "broadcast" | "multicast" => return self.cast(Proto::Ether),
            _ => {}
        }
        if let Some(field) = field::lookup(&word) {
            self.bump();
            return self.field(field);
        }
        if let Some(proto) = Proto::of(&word) {
            self.bump();
            return self.after_protocol(proto, &word);
        }
        if Dir::starts(&word) || Type::of(&word).is_some() {
            return self.qualified(None);
        }
        if words::UNSUPPORTED.contains(&word.as_str()) {
            let trouble = Trouble::new(FilterFault::Unsupported { word: word.clone() }, self.at());
            return Err(match word.as_str() {
                "inbound" | "outbound" => {
                    trouble.hint("a bus has no inside; name the interface: src or dst h1:eth0")
                }
                _ => trouble,
            });
        }
        // A bare value: inherits, and is a host when there is nothing to inherit.
        let head = self.last;
        self.value(head)
    }

    /// `tcp`, `tcp port 80`, `ip multicast`, `ether proto 0x806`, `tcp[0]` (which [`Self::relation`] has taken already).
    fn after_protocol(&mut self, proto: Proto, name: &str) -> Parsed<Node> {
        match self.peek_word() {
            Some("broadcast" | "multicast") => self.cast(proto),
            Some(word) if Dir::starts(word) || Type::of(word).is_some() => self.qualified(Some(proto)),
            Some("gateway" | "protochain") => {
                let word = self.peek_word().unwrap_or_default().to_owned();
                Err(Trouble::new(FilterFault::Unsupported { word }, self.at()))
            }
            Some(next) => {
                let hint = match nearest(next, words::KEYWORDS.iter().copied()) {
                    Some(near) => format!("did you mean \"{name} {near}\"?"),
                    None => format!("did you mean \"{name} and {next}\"?"),
                };
                Err(self.expected("'and', 'or' or a qualifier such as 'port'").hint(hint))
            }
            None if proto == Proto::Ether => {
                Err(self.expected("'host', 'src', 'dst', 'proto' or 'broadcast'"))
            }
            None => {
                self.last = Head { proto: Some(proto), ..Head::default() };
                Ok(self.link.protocol(proto))
            }
        }
    }

    fn cast(&mut self, proto: Proto) -> Parsed<Node> {
        let at = self.at();
        let word = self.peek_word().unwrap_or_default().to_owned();
        self.bump();
        let node = match (word.as_str(), proto) {
            ("broadcast", Proto::Ether) => primitive::ether_address(0, [0xff; 6]),
            ("multicast", Proto::Ether) => {
                Node::Octets { at: At::Frame(0), width: Width::One, mask: 1, rel: Rel::Ne, value: 0 }
            }
            ("multicast", Proto::Ip) => self.link.ip_multicast(),
            ("multicast", Proto::Ip6) => self.link.ip6_multicast(),
            ("broadcast", Proto::Ip) => {
                return Err(Trouble::new(FilterFault::Unsupported { word: "ip broadcast".into() }, at)
                    .hint("write 'broadcast', or name the address: dst host 10.0.0.255"));
            }
            _ => {
                let modifier = proto.name().to_owned();
                return Err(Trouble::new(FilterFault::Modifier { modifier, word }, at));
            }
        };
        Ok(node)
    }

    fn vlan(&mut self) -> Parsed<Node> {
        let id = match self.peek_word() {
            Some(word) if word.starts_with(|c: char| c.is_ascii_digit()) && !self.starts_relation() => {
                let at = self.at();
                let id = self.number("a VLAN number")?;
                if id > 0xfff {
                    return Err(self.invalid("a VLAN number, 0 to 4095", &id.to_string(), at));
                }
                Some(id)
            }
            _ => None,
        };
        let node = self.link.vlan(id);
        self.link = self.link.inside_tag();
        Ok(node)
    }

    /// `[src|dst|src or dst|src and dst] [host|net|port|portrange|proto] VALUE…`
    fn qualified(&mut self, proto: Option<Proto>) -> Parsed<Node> {
        let dir = self.direction();
        let at = self.at();
        let kind = self.peek_word().and_then(Type::of);
        if kind.is_some() {
            self.bump();
        }
        let head = Head { proto, dir, kind: kind.unwrap_or_default() };
        if let Some(proto) = proto
            && !head.kind.goes_with(proto)
        {
            let modifier = proto.name().to_owned();
            let word = head.kind.name().to_owned();
            return Err(Trouble::new(FilterFault::Modifier { modifier: modifier.clone(), word }, at)
                .hint(format!("did you mean \"{modifier} and host …\"?")));
        }
        self.last = head;
        self.value(head)
    }

    fn direction(&mut self) -> Dir {
        let first = match self.peek_word() {
            Some("src") => Dir::Src,
            Some("dst") => Dir::Dst,
            _ => return Dir::Either,
        };
        let other = if first == Dir::Src { "dst" } else { "src" };
        self.bump();
        let both = match self.peek() {
            Kind::Or => Dir::Either,
            Kind::And => Dir::Both,
            _ => return first,
        };
        // `src or dst` is one qualifier; `src or` anything else is for the grammar to refuse.
        if matches!(self.ahead(1), Kind::Word(word) if word == other) {
            self.bump();
            self.bump();
            both
        } else {
            first
        }
    }

    /// One value, or several in parentheses, under the qualifiers `head`.
    fn value(&mut self, head: Head) -> Parsed<Node> {
        self.enter()?;
        let node = match self.peek().clone() {
            Kind::Not => {
                self.bump();
                self.value(head)?.negate()
            }
            Kind::Open => {
                self.bump();
                let mut node = self.value(head)?;
                loop {
                    node = match self.peek() {
                        Kind::And => {
                            self.bump();
                            node.and(self.value(head)?)
                        }
                        Kind::Or => {
                            self.bump();
                            node.or(self.value(head)?)
                        }
                        _ => break,
                    };
                }
                if !self.take(&Kind::Close) {
                    return Err(self.expected("'and', 'or' or ')'"));
                }
                node
            }
            Kind::Word(word) => self.single(head, &word)?,
            _ => return Err(self.expected(head.kind.wants())),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn number(&mut self, what: &'static str) -> Parsed<u32> {
        let at = self.at();
        let Some(word) = self.peek_word().map(str::to_owned) else { return Err(self.expected(what)) };
        match words::integer(&word) {
            Some(number) => {
                self.bump();
                Ok(number)
            }
            None => Err(self.invalid(what, &word, at)),
        }
    }

    fn field(&mut self, field: &'static field::Field) -> Parsed<Node> {
        let rel = match self.peek() {
            Kind::Rel(rel) => Some(*rel),
            Kind::Word(word) => words::relation_word(word),
            _ => None,
        };
        let Some(rel) = rel else {
            return Ok(Node::Field(FieldTest { field, wanted: Wanted::Present }));
        };
        let rel_at = self.at();
        self.bump();
        let at = self.at();
        let Some(word) = self.peek_word().map(str::to_owned) else { return Err(self.expected("a value")) };
        self.bump();
        let equality = matches!(rel, Rel::Eq | Rel::Ne);
        let wanted = match field.kind {
            FieldKind::Address | FieldKind::Mac if !equality => {
                return Err(self.invalid(
                    "'==' or '!=', all that an address can be compared by",
                    self.text.get(rel_at.clone()).unwrap_or_default(),
                    rel_at,
                ));
            }
            FieldKind::Mac => Wanted::Mac(rel, self.macs(&word, at)?),
            FieldKind::Address if *self.peek() == Kind::Op(Op::Div) => {
                Wanted::Address(rel, vec![self.network(&word, at)?])
            }
            FieldKind::Address => {
                Wanted::Address(rel, self.addresses(&word, at)?.into_iter().map(IpNet::from).collect())
            }
            FieldKind::Flag if word == "true" || word == "false" => {
                Wanted::Number(rel, u64::from(word == "true"))
            }
            FieldKind::Number | FieldKind::Flag => match words::integer(&word) {
                Some(number) => Wanted::Number(rel, u64::from(number)),
                None => return Err(self.invalid("a number", &word, at)),
            },
        };
        Ok(Node::Field(FieldTest { field, wanted }))
    }

    /// Whether what comes is `SUM REL SUM`: `len …`, `tcp[…`, a number before an operator, or a parenthesis around a sum.
    fn starts_relation(&self) -> bool {
        let operator = |kind: &Kind| matches!(kind, Kind::Op(_) | Kind::Rel(_));
        match self.peek() {
            Kind::Op(Op::Sub) => true,
            Kind::Word(word) if word == "len" => true,
            Kind::Word(word) if Proto::of(word).is_some() => *self.ahead(1) == Kind::OpenIndex,
            Kind::Word(word) => words::constant(word).is_some() && operator(self.ahead(1)),
            Kind::Open => {
                let mut depth = 0usize;
                for (n, token) in self.tokens[self.next..].iter().enumerate() {
                    match token.kind {
                        Kind::Open => depth += 1,
                        Kind::Close => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        return operator(self.ahead(n + 1));
                    }
                }
                false
            }
            _ => false,
        }
    }

    fn relation(&mut self) -> Parsed<Node> {
        let mut guards = Vec::new();
        let left = self.sum(0, &mut guards)?;
        let Kind::Rel(rel) = *self.peek() else {
            return Err(self.expected("a comparison such as '=' or '>'"));
        };
        self.bump();
        let right = self.sum(0, &mut guards)?;
        Ok(Node::Arith { guards, left, rel, right })
    }

    /// Precedence climbing: `| ^` < `&` < `<< >>` < `+ -` < `* / %`.
    fn sum(&mut self, least: u8, guards: &mut Vec<Node>) -> Parsed<Arith> {
        self.enter()?;
        let mut left = self.operand(guards)?;
        while let Kind::Op(op) = *self.peek() {
            let binds = match op {
                Op::Or | Op::Xor => 0,
                Op::And => 1,
                Op::Shl | Op::Shr => 2,
                Op::Add | Op::Sub => 3,
                Op::Mul | Op::Div | Op::Mod => 4,
            };
            if binds < least {
                break;
            }
            self.bump();
            let right = self.sum(binds + 1, guards)?;
            left = Arith::Binary { op, left: Box::new(left), right: Box::new(right) };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self, guards: &mut Vec<Node>) -> Parsed<Arith> {
        if self.take(&Kind::Op(Op::Sub)) {
            let zero = Box::new(Arith::Number(0));
            let right = Box::new(self.sum(5, guards)?);
            return Ok(Arith::Binary { op: Op::Sub, left: zero, right });
        }
        if self.take(&Kind::Open) {
            let sum = self.sum(0, guards)?;
            if !self.take(&Kind::Close) {
                return Err(self.expected("')'"));
            }
            return Ok(sum);
        }
        let at = self.at();
        let Some(word) = self.peek_word().map(str::to_owned) else {
            return Err(self.expected("a number, 'len' or something like tcp[13]"));
        };
        self.bump();
        if word == "len" {
            return Ok(Arith::Length);
        }
        if let Some(number) = words::constant(&word) {
            return Ok(Arith::Number(number));
        }
        let Some(proto) = Proto::of(&word).filter(|_| *self.peek() == Kind::OpenIndex) else {
            let trouble = self.invalid("a number, 'len' or something like tcp[13]", &word, at);
            return Err(match nearest(&word, words::CONSTANTS.iter().map(|(name, _)| *name)) {
                Some(near) => trouble.hint(format!("did you mean \"{near}\"?")),
                None => trouble,
            });
        };
        self.bump();
        let index = Box::new(self.sum(0, guards)?);
        let width = if self.take(&Kind::Colon) {
            let at = self.at();
            match self.number("1, 2 or 4 octets")? {
                1 => Width::One,
                2 => Width::Two,
                4 => Width::Four,
                other => return Err(self.invalid("1, 2 or 4 octets", &other.to_string(), at)),
            }
        } else {
            Width::One
        };
        if !self.take(&Kind::CloseIndex) {
            return Err(self.expected("']'"));
        }
        let (guard, from) = self.link.header(proto);
        guards.extend(guard);
        Ok(Arith::Load { from, index, width })
    }
}

/// One of them; the one if there is only one.
pub(super) fn any(nodes: impl Iterator<Item = Node>) -> Node {
    let mut nodes: Vec<Node> = nodes.collect();
    match nodes.len() {
        1 => nodes.swap_remove(0),
        _ => Node::Any(nodes),
    }
}
