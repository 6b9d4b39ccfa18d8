//! Options of sockets.

use super::Stack;
use crate::netinet::IpLayer;
use crate::netinet::in_pcb::Share;
use crate::socket::table::Entry;
use crate::socket::{Ready, SockError, SockOpt, SockOptName, SocketId};
use crate::time::Instant;

impl Stack {
    /// Sets an option.
    pub fn set_option(&mut self, now: Instant, id: SocketId, opt: SockOpt) -> Result<(), SockError> {
        self.ip.now = now;
        match opt {
            SockOpt::Join(group, ifindex) => return self.group_join(id, group, ifindex),
            SockOpt::Leave(group, ifindex) => return self.group_leave(id, group, ifindex),
            SockOpt::AddSource(what) => return self.group_add_source(id, what),
            SockOpt::DropSource(what) => return self.group_drop_source(id, what),
            SockOpt::Block(what) => return self.group_block(id, what),
            SockOpt::Unblock(what) => return self.group_unblock(id, what),
            SockOpt::MsFilter(group, ifindex, filter) => {
                return self.group_filter(id, group, ifindex, filter);
            }
            SockOpt::PacketJoin(ifindex, what) => return self.packet_join(id, ifindex, what),
            SockOpt::PacketLeave(ifindex, what) => return self.packet_leave(id, ifindex, what),
            SockOpt::BindToDevice(Some(i)) | SockOpt::MulticastIf(Some(i)) if self.interface(i).is_none() => {
                return Err(SockError::NoDevice);
            }
            _ => {}
        }
        if let Entry::Stream(_) = self.sockets.entry(id)? {
            return self.stream_set_option(id, opt);
        }
        let max = self.ip.config.max_buffer;
        let s = self.sockets.datagram(id)?;
        let before = s.ready();
        s.opts.set(opt, max)?;
        // A larger send buffer has room.
        let news = (s.ready() - before) & Ready::WRITE;
        self.notify(id, news);
        self.rebind(id);
        Ok(())
    }

    /// The table of ports hears of changed options.
    fn rebind(&mut self, id: SocketId) {
        let Ok(s) = self.sockets.datagram(id) else { return };
        let (port, device) = (s.local.port(), s.opts.device);
        let share = Share { addr: s.opts.reuse_addr, port: s.opts.reuse_port };
        let only_v6 = s.opts.v6.only_v6;
        let kind = s.kind;
        let Some(table) = self.pcbs(kind) else { return };
        table.rebind(id, port, |b| (b.share, b.ifindex, b.only_v6) = (share, device, only_v6));
    }

    /// Reads an option.
    pub fn option(&self, id: SocketId, name: SockOptName) -> Result<SockOpt, SockError> {
        let s = match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            Entry::Datagram(s) => s,
            Entry::Stream(s) => return self.stream_option(s, name),
        };
        if let SockOptName::MsFilter(group, ifindex) = name {
            return self.group_filter_of(s, group, ifindex);
        }
        let local = s.local.ip();
        let path = s.remote.and_then(|dst| {
            let src = self.ip.own_source(local).ok()?;
            self.ip.path(&s.flow(src, dst)).ok()
        });
        s.opts.get(name, path.map(|p| p.mtu))
    }
}
