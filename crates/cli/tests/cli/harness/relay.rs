//! A relay between a client and a server that can go dark in the middle of a transfer.
//!
//! What a test does while the relay is dark happens in the middle of that transfer for certain, however fast the
//! machine is.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::process::WATCHDOG;

/// The longest UDP datagram.
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// How often the relay's threads look whether they should end.
const LOOK: Duration = Duration::from_millis(100);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

#[derive(Debug, Default)]
struct Gate {
    /// How many bytes may still pass, and which way they are counted; none: all that come.
    budget: Option<(Way, usize)>,
    dark: bool,
}

impl Gate {
    /// Whether a datagram passes.
    fn passes(&mut self, way: Way, len: usize) -> bool {
        if let Some((counted, left)) = &mut self.budget
            && *counted == way
            && !self.dark
        {
            *left = left.saturating_sub(len);
            self.dark = *left == 0;
        }
        !self.dark
    }
}

#[derive(Debug)]
struct Shared {
    front: UdpSocket,
    back: UdpSocket,
    client: Mutex<Option<SocketAddr>>,
    gate: Mutex<Gate>,
    changed: Condvar,
    stop: AtomicBool,
}

/// Relays the datagrams of one client at a time.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Relay {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (front, back) = (bind(), bind());
        back.connect(server).expect("an address");
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(LOOK)).expect("not zero");
            // As much as the system gives: a loss here is no harm but costs time.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket, 4 << 20);
        }
        let addr = front.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            front,
            back,
            client: Mutex::default(),
            gate: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        for way in [Way::Up, Way::Down] {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.relay(way));
        }
        Self { addr, shared }
    }

    fn gate(&self, change: impl FnOnce(&mut Gate)) {
        change(&mut self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets `bytes` more pass that `way`, then nothing either way.
    pub(crate) fn go_dark_after(&self, way: Way, bytes: usize) {
        self.gate(|gate| *gate = Gate { budget: Some((way, bytes)), dark: false });
    }

    /// Waits until nothing passes any more.
    #[track_caller]
    pub(crate) fn wait_until_dark(&self) {
        let gate = self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(gate, WATCHDOG, |gate| !gate.dark);
        let gate = waited.unwrap_or_else(PoisonError::into_inner).0;
        assert!(gate.dark, "too little has passed: {gate:?}");
    }

    /// Lets everything pass again.
    pub(crate) fn clear(&self) {
        self.gate(|gate| *gate = Gate::default());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn relay(&self, way: Way) {
        let mut datagram = vec![0; MAX_DATAGRAM_BYTES];
        while !self.stop.load(Ordering::Relaxed) {
            // Nothing came for a while, or the other end has closed its socket: neither ends the relay.
            let Ok(len) = self.receive(way, &mut datagram) else { continue };
            let passes = {
                let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
                gate.passes(way, len)
            };
            self.changed.notify_all();
            if passes {
                self.send(way, &datagram[..len]);
            }
        }
    }

    fn receive(&self, way: Way, datagram: &mut [u8]) -> io::Result<usize> {
        match way {
            Way::Up => {
                let (len, from) = self.front.recv_from(datagram)?;
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
                Ok(len)
            }
            Way::Down => self.back.recv(datagram),
        }
    }

    /// A datagram that cannot be sent is lost, as datagrams are.
    fn send(&self, way: Way, datagram: &[u8]) {
        let client = *self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = match (way, client) {
            (Way::Up, _) => self.back.send(datagram),
            (Way::Down, Some(client)) => self.front.send_to(datagram, client),
            (Way::Down, None) => Ok(0),
        };
    }
}
