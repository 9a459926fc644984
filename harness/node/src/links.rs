//! Links, addresses and routes of a network namespace, over the kernel's own route netlink: no program needed.

mod message;
mod name;
mod socket;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

pub use name::{LinkName, LinkNameError};

use crate::netns::NetNs;
use crate::tool::tc::{self, Handle, Parent, Preference};
use message::{Message, attribute};
use socket::Socket;

/// The links of one network namespace. It stays with that namespace, whatever its holder's thread enters later.
#[derive(Debug)]
pub struct Links {
    socket: Socket,
}

impl Links {
    /// The links of the calling thread's namespace.
    ///
    /// # Errors
    /// When no netlink socket can be opened.
    pub fn open() -> Result<Links, LinkError> {
        Ok(Links {
            socket: Socket::open().map_err(LinkError::of("open a netlink socket"))?,
        })
    }

    /// The links of another namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn open_in(namespace: &NetNs) -> Result<Links, LinkError> {
        namespace
            .run(Links::open)
            .map_err(LinkError::of("enter a network namespace"))?
    }

    /// Makes a pair of virtual Ethernet links: `name` in this namespace, `peer` in namespace `into`. Both are down.
    ///
    /// The pair is gone when one of its ends is deleted, or the namespace of one of them ends.
    ///
    /// # Errors
    /// `EEXIST` if either name is taken, `EPERM` without privilege over both namespaces.
    pub fn create_veth(
        &self,
        name: &LinkName,
        peer: &LinkName,
        into: BorrowedFd<'_>,
    ) -> Result<(), LinkError> {
        let mut message = Message::link(libc::RTM_NEWLINK, 0, message::CREATE);
        message.text(libc::IFLA_IFNAME, name.as_str());
        message.nested(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "veth");
            info.nested(libc::IFLA_INFO_DATA, |data| {
                data.nested(attribute::VETH_INFO_PEER, |end| {
                    end.link_header(0);
                    end.text(libc::IFLA_IFNAME, peer.as_str());
                    end.number(libc::IFLA_NET_NS_FD, into.as_raw_fd() as u32);
                });
            });
        });
        self.call(message, || format!("make links {name} and {peer}"))
    }

    /// Sets a link up.
    ///
    /// # Errors
    /// `ENODEV` if there is no such link.
    pub fn set_up(&self, name: &LinkName) -> Result<(), LinkError> {
        let mut message = Message::link(libc::RTM_NEWLINK, self.index(name)?, 0);
        message.link_flags(libc::IFF_UP as u32);
        self.call(message, || format!("set link {name} up"))
    }

    /// Gives a link an address within a network of `prefix` bits.
    ///
    /// # Errors
    /// `EEXIST` if it has it already.
    pub fn add_address(
        &self,
        name: &LinkName,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), LinkError> {
        let index = self.index(name)?;
        let mut message = Message::address(index, address, prefix);
        message.address_attribute(libc::IFA_LOCAL, address);
        message.address_attribute(libc::IFA_ADDRESS, address);
        self.call(message, || {
            format!("give {address}/{prefix} to link {name}")
        })
    }

    /// Sends what goes to `network` of `prefix` bits through `gateway`; prefix 0 is the default route.
    ///
    /// # Errors
    /// `ENETUNREACH` if the gateway itself cannot be reached.
    pub fn add_route(&self, network: IpAddr, prefix: u8, gateway: IpAddr) -> Result<(), LinkError> {
        let mut message = Message::route(network, prefix);
        if prefix > 0 {
            message.address_attribute(libc::RTA_DST, network);
        }
        message.address_attribute(libc::RTA_GATEWAY, gateway);
        self.call(message, || {
            format!("route {network}/{prefix} through {gateway}")
        })
    }

    /// Deletes a link; one that is not there is fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete(&self, name: &LinkName) -> Result<(), LinkError> {
        let index = match self.index(name) {
            Err(error) if error.is(libc::ENODEV) => return Ok(()),
            index => index?,
        };
        let message = Message::link(libc::RTM_DELLINK, index, 0);
        match self.call(message, || format!("delete link {name}")) {
            Err(error) if error.is(libc::ENODEV) => Ok(()),
            result => result,
        }
    }

    /// Deletes the qdisc at `parent` of a link if it is the one with `handle`; another one, or none, is left alone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete_qdisc(
        &self,
        device: &LinkName,
        parent: Parent,
        handle: Handle,
    ) -> Result<(), LinkError> {
        // The kernel compares the handle itself, and answers EINVAL if another qdisc is there.
        self.delete_traffic(
            device,
            |index| Message::traffic(libc::RTM_DELQDISC, index, handle.raw(), parent.raw(), 0),
            || format!("delete qdisc {handle} of link {device}"),
        )
    }

    /// Deletes the filters at `preference` before the qdisc of what leaves a link; none is fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete_filters(
        &self,
        device: &LinkName,
        preference: Preference,
    ) -> Result<(), LinkError> {
        let info = u32::from(preference.raw()) << 16;
        self.delete_traffic(
            device,
            |index| Message::traffic(libc::RTM_DELTFILTER, index, 0, tc::EGRESS, info),
            || format!("delete filters {preference} of link {device}"),
        )
    }

    /// Deletes the place where filters are attached before a link's qdisc, with whatever is attached there; none is
    /// fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete_clsact(&self, device: &LinkName) -> Result<(), LinkError> {
        const HANDLE: u32 = 0xffff_0000;
        const PARENT: u32 = 0xffff_fff1;
        self.delete_traffic(
            device,
            |index| Message::traffic(libc::RTM_DELQDISC, index, HANDLE, PARENT, 0),
            || format!("delete clsact of link {device}"),
        )
    }

    /// Deletes something of a link's traffic control; that it, or the link, is not there is fine.
    fn delete_traffic(
        &self,
        device: &LinkName,
        message: impl FnOnce(u32) -> Message,
        what: impl FnOnce() -> String,
    ) -> Result<(), LinkError> {
        let index = match self.index(device) {
            Err(error) if error.is(libc::ENODEV) => return Ok(()),
            index => index?,
        };
        match self.call(message(index), what) {
            Err(error)
                if [libc::ENODEV, libc::ENOENT, libc::EINVAL]
                    .iter()
                    .any(|e| error.is(*e)) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Makes a link of ours whose packets come back to the link they were redirected from; it is down.
    ///
    /// # Errors
    /// `EEXIST` if the name is taken, `EOPNOTSUPP` if the kernel has no such links (module `ifb`).
    pub fn create_ifb(&self, name: &LinkName) -> Result<(), LinkError> {
        let mut message = Message::link(libc::RTM_NEWLINK, 0, message::CREATE);
        message.text(libc::IFLA_IFNAME, name.as_str());
        message.nested(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "ifb");
        });
        self.call(message, || format!("make link {name}"))
    }

    /// Sets how many packets may wait to leave through a link.
    ///
    /// # Errors
    /// `ENODEV` if there is no such link.
    pub fn set_queue_length(&self, name: &LinkName, packets: u32) -> Result<(), LinkError> {
        let mut message = Message::link(libc::RTM_NEWLINK, self.index(name)?, 0);
        message.number(libc::IFLA_TXQLEN, packets);
        self.call(message, || {
            format!("let {packets} packets wait at link {name}")
        })
    }

    /// The kernel's number of a link.
    ///
    /// # Errors
    /// `ENODEV` if there is no such link.
    pub fn index(&self, name: &LinkName) -> Result<u32, LinkError> {
        let mut message = Message::link(libc::RTM_GETLINK, 0, 0);
        message.text(libc::IFLA_IFNAME, name.as_str());
        let answer = self
            .socket
            .ask(message)
            .map_err(LinkError::of(format!("find link {name}")))?;
        message::link_index(&answer).ok_or_else(|| {
            LinkError::of(format!("find link {name}"))(io::Error::other("no link in the answer"))
        })
    }

    fn call(&self, message: Message, what: impl FnOnce() -> String) -> Result<(), LinkError> {
        self.socket
            .ask(message)
            .map(drop)
            .map_err(|source| LinkError::of(what())(source))
    }
}

impl AsFd for Links {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The kernel refused a change of links, addresses or routes.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct LinkError {
    action: String,
    source: io::Error,
}

impl LinkError {
    fn of(action: impl Into<String>) -> impl FnOnce(io::Error) -> LinkError {
        let action = action.into();
        move |source| LinkError { action, source }
    }

    /// Whether the kernel answered with this error number.
    pub fn is(&self, errno: i32) -> bool {
        let said = self
            .source
            .get_ref()
            .and_then(|e| e.downcast_ref::<socket::Refusal>());
        self.source.raw_os_error() == Some(errno)
            || said.is_some_and(|refusal| refusal.errno == errno)
    }
}
