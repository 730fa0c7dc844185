//! A socket that keeps the pace of each connection that sends through it, and gives the kernel no more than it takes at once.

use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use quinn::{
    AsyncTimer, AsyncUdpSocket, Runtime, UdpPoller,
    udp::{RecvMeta, Transmit},
};

use crate::sending::Lane;

/// The most that the kernel takes in one call, in bytes of UDP payload: what one IPv4 packet can carry. It refuses more, also
/// where it would have cut it into many datagrams, and quinn then drops them without a word.
const MAX_BATCH_BYTES: usize = 65_507;

/// See the module.
#[derive(Debug)]
pub(crate) struct PacedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    runtime: Arc<dyn Runtime>,
    /// How many datagrams of the largest size that we take are as long as what the kernel hands over at once. quinn makes its buffers
    /// for so many: with the 64 that the kernel may join they would take 64 MiB where datagrams are large.
    max_receive_segments: usize,
}

impl PacedSocket {
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, runtime: Arc<dyn Runtime>) -> Self {
        let by_size = MAX_BATCH_BYTES.div_ceil(crate::tuning::MAX_DATAGRAM_BYTES.into());
        let max_receive_segments = inner.max_receive_segments().min(by_size);
        Self { inner, runtime, max_receive_segments }
    }

    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Some(segment_bytes) = transmit.segment_size.filter(|_| transmit.contents.len() > MAX_BATCH_BYTES)
        else {
            return self.inner.try_send(transmit);
        };
        let batch_bytes = (MAX_BATCH_BYTES / segment_bytes).max(1) * segment_bytes;
        for (index, contents) in transmit.contents.chunks(batch_bytes).enumerate() {
            let segment_size = (contents.len() > segment_bytes).then_some(segment_bytes);
            match self.inner.try_send(&Transmit { contents, segment_size, ..*transmit }) {
                // Once the first has left the others cannot wait: quinn would send them all again. What the kernel has no
                // room for is lost, as it would be on the path.
                Err(error) if index > 0 && error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            }
        }
        Ok(())
    }
}

impl AsyncUdpSocket for PacedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        let inner = self.inner.clone().create_io_poller();
        Box::pin(PacedPoller {
            inner,
            lane: Lane::current(),
            runtime: self.runtime.clone(),
            timer: Mutex::default(),
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Some(lane) = Lane::current() else { return self.send(transmit) };
        if lane.stranger().is_some_and(|stranger| !stranger.may_leave(&self.inner, transmit)) {
            return Ok(());
        }
        self.send(transmit)?;
        let now = self.runtime.now();
        lane.note_sent(now, transmit.contents, transmit.segment_size);
        let copies = lane.copies(now, transmit.contents, transmit.segment_size);
        let contents = &transmit.contents[..copies.bytes];
        let segment_size = transmit.segment_size.filter(|bytes| *bytes < contents.len());
        for _ in 0..copies.count {
            // The datagrams have left: whether a copy does is not quinn's business.
            let _ = self.send(&Transmit { contents, segment_size, ..*transmit });
            lane.note_sent(now, contents, segment_size);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, buffers, metas)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        let most = self.inner.max_transmit_segments();
        Lane::current().map_or(most, |lane| most.min(lane.max_datagrams()))
    }

    fn max_receive_segments(&self) -> usize {
        self.max_receive_segments
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

/// Tells one connection when it may send.
#[derive(Debug)]
struct PacedPoller {
    inner: Pin<Box<dyn UdpPoller>>,
    lane: Option<Arc<Lane>>,
    runtime: Arc<dyn Runtime>,
    /// Only ever reached through `&mut`: the lock makes the poller `Sync`, as it has to be.
    timer: Mutex<Option<Pin<Box<dyn AsyncTimer>>>>,
}

impl UdpPoller for PacedPoller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let wait = this.lane.as_ref().and_then(|lane| lane.not_before(this.runtime.now()));
        if let Some(at) = wait {
            let timer = this.timer.get_mut().unwrap_or_else(PoisonError::into_inner);
            let timer = timer.get_or_insert_with(|| this.runtime.new_timer(at));
            timer.as_mut().reset(at);
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        this.inner.as_mut().poll_writable(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Takes what the kernel would take, and remembers the lengths.
    #[derive(Debug, Default)]
    struct Kernel {
        taken: Mutex<Vec<(usize, Option<usize>)>>,
        room: Mutex<Option<usize>>,
    }

    impl AsyncUdpSocket for Kernel {
        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            unreachable!("nobody waits in these tests")
        }

        fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
            assert!(transmit.contents.len() <= MAX_BATCH_BYTES, "EMSGSIZE");
            if let Some(room) = self.room.lock().unwrap().as_mut() {
                *room = room.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
            }
            self.taken.lock().unwrap().push((transmit.contents.len(), transmit.segment_size));
            Ok(())
        }

        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            _: &mut [IoSliceMut<'_>],
            _: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(([127, 0, 0, 1], 1).into())
        }

        fn max_receive_segments(&self) -> usize {
            64
        }
    }

    #[derive(Debug)]
    struct NoRuntime;

    impl Runtime for NoRuntime {
        fn new_timer(&self, _: Instant) -> Pin<Box<dyn AsyncTimer>> {
            unreachable!("nobody waits in these tests")
        }

        fn spawn(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) {}

        fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn socket() -> (Arc<Kernel>, PacedSocket) {
        let kernel = Arc::<Kernel>::default();
        (kernel.clone(), PacedSocket::new(kernel, Arc::new(NoRuntime)))
    }

    fn send(socket: &PacedSocket, datagrams: usize, bytes: usize, last_bytes: usize) -> io::Result<()> {
        let contents = vec![0; (datagrams - 1) * bytes + last_bytes];
        let destination = ([127, 0, 0, 1], 2).into();
        let segment_size = (datagrams > 1).then_some(bytes);
        socket.try_send(&Transmit { destination, ecn: None, contents: &contents, segment_size, src_ip: None })
    }

    #[test]
    fn a_batch_is_cut_into_what_the_kernel_takes() {
        let (kernel, socket) = socket();
        let expect = |datagrams, bytes, last_bytes, parts: &[(usize, Option<usize>)]| {
            send(&socket, datagrams, bytes, last_bytes).unwrap();
            assert_eq!(std::mem::take(&mut *kernel.taken.lock().unwrap()), parts);
        };
        expect(10, 6500, 6500, &[(65_000, Some(6500))]);
        expect(10, 6551, 6548, &[(65_507, Some(6551))]);
        expect(10, 6551, 6549, &[(9 * 6551, Some(6551)), (6549, None)]);
        expect(5, 32_000, 100, &[(64_000, Some(32_000)), (64_000, Some(32_000)), (100, None)]);
        expect(2, 65_000, 65_000, &[(65_000, None), (65_000, None)]);
        expect(1, 65_507, 65_507, &[(65_507, None)]);
    }

    #[test]
    fn what_is_full_before_the_first_part_waits_and_after_it_the_rest_is_lost() {
        let (kernel, socket) = socket();
        *kernel.room.lock().unwrap() = Some(0);
        assert_eq!(send(&socket, 5, 32_000, 100).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        *kernel.room.lock().unwrap() = Some(1);
        assert!(send(&socket, 5, 32_000, 100).is_ok(), "quinn would send all of it again");
        assert_eq!(kernel.taken.lock().unwrap().len(), 1);
    }

    #[test]
    fn receive_buffers_hold_what_the_kernel_joins_and_not_much_more() {
        let (_, socket) = socket();
        let bytes = socket.max_receive_segments() * usize::from(crate::tuning::MAX_DATAGRAM_BYTES);
        assert!((MAX_BATCH_BYTES..3 * MAX_BATCH_BYTES / 2).contains(&bytes), "{bytes}");
    }
}
