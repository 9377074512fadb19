//! How processes end that are not children of this one.
//!
//! A pidfd tells that a process has ended; how it ended, `waitid` tells to its parent only. The
//! kernel's process connector (a netlink group, `linux/cn_proc.h`) tells it to anybody who listens,
//! *before* the pidfd turns readable: root hears it, and from Linux 6.6 every user of the initial
//! namespaces. It tells of all processes of the host; from 6.6 on it can be asked for ends alone,
//! and older kernels, which would send every fork as well, are not asked.
//!
//! The ioctl PIDFD_GET_INFO (Linux 6.15) would tell as well, but no crate offers it without unsafe
//! code.

use rustix::fd::OwnedFd;
use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
    sockopt,
};

/// The connector's number for processes (CN_IDX_PROC, CN_VAL_PROC), also its multicast group.
const PROCESSES: u32 = 1;
/// `PROC_CN_MCAST_LISTEN` of `linux/cn_proc.h`.
const LISTEN: u32 = 1;
/// `PROC_EVENT_EXIT` of `linux/cn_proc.h`.
const EXIT: u32 = 0x8000_0000;
/// NLMSG_DONE: a single message.
const DONE: u16 = 3;
/// What may wait to be read: about a thousand ends.
const BUFFER_BYTES: usize = 1 << 20;
/// struct nlmsghdr, struct cn_msg, and what of struct proc_event comes before the event's own data.
const HEADERS: usize = 16 + 20 + 16;

/// Ends of processes of this host, in order.
pub(super) struct Exits {
    pub(super) socket: OwnedFd,
}

/// A thread has ended. The process's own status is that of its last thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// Its process.
    pub(super) pid: u32,
    /// How, as `wait` tells it.
    pub(super) status: i32,
}

/// What came next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A thread has ended.
    Exit(Exit),
    /// Something of no interest.
    Other,
    /// More came than could be kept: some ends were not told.
    Lost,
}

impl Exits {
    /// Listens, if this process may.
    pub(super) fn listen() -> rustix::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            flags,
            Some(CONNECTOR),
        )?;
        // Beyond the system's limit only root gets it: less will do.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES));
        bind(&socket, &SocketAddrNetlink::new(0, PROCESSES))?;
        send(&socket, &subscription(), SendFlags::empty())?;
        Ok(Self { socket })
    }

    /// What came next; `None` if nothing has come.
    pub(super) fn next(&self) -> Option<Next> {
        let mut message = [0_u8; 256];
        match recv(&self.socket, &mut message, RecvFlags::empty()) {
            Ok((_, length)) => Some(
                message
                    .get(..length)
                    .and_then(parse)
                    .map_or(Next::Other, Next::Exit),
            ),
            Err(rustix::io::Errno::NOBUFS) => Some(Next::Lost),
            Err(_) => None,
        }
    }
}

/// nlmsghdr, cn_msg, and struct proc_input: listen to ends only.
fn subscription() -> Vec<u8> {
    let input = [LISTEN, EXIT].map(u32::to_ne_bytes).concat();
    let length = u16::try_from(input.len()).unwrap_or_default();
    let connector = [PROCESSES, PROCESSES, 0, 0].map(u32::to_ne_bytes).concat();
    let body = [connector, [length, 0].map(u16::to_ne_bytes).concat(), input].concat();
    let total = u32::try_from(body.len().saturating_add(16)).unwrap_or_default();
    [
        total.to_ne_bytes().to_vec(),
        [DONE, 0].map(u16::to_ne_bytes).concat(),
        vec![0; 8],
        body,
    ]
    .concat()
}

/// Reads an exit event: pid and tgid of the thread, its status, the signal for its parent, and
/// more.
fn parse(message: &[u8]) -> Option<Exit> {
    let word = |at: usize| {
        message
            .get(at..at.checked_add(4)?)?
            .try_into()
            .ok()
            .map(u32::from_ne_bytes)
    };
    let is_exit = word(HEADERS - 16)? == EXIT;
    is_exit.then_some(())?;
    Some(Exit {
        pid: word(HEADERS + 4)?,
        status: word(HEADERS + 8)?.cast_signed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subscription_is_laid_out_as_the_kernel_reads_it() {
        let bytes = subscription();
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((bytes.len(), word(0), word(16), word(20)), (44, 44, 1, 1));
        assert_eq!((word(36), word(40)), (LISTEN, EXIT));
    }

    #[test]
    fn other_messages_are_no_exits() {
        let mut message = vec![0; HEADERS];
        message[HEADERS - 16..HEADERS - 12].copy_from_slice(&EXIT.to_ne_bytes());
        assert_eq!(parse(&message), None, "cut short");
        message.extend([7_u32, 8, 9, 17].map(u32::to_ne_bytes).concat());
        assert_eq!(parse(&message), Some(Exit { pid: 8, status: 9 }));
        message[HEADERS - 16] = 1;
        assert_eq!(parse(&message), None, "another event");
        assert_eq!(parse(&[]), None);
    }
}
