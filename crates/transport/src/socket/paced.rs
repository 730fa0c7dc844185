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
    /// How many datagrams of the largest size that we take fill what the kernel hands over at once.
    max_receive_segments: usize,
}

impl PacedSocket {
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, runtime: Arc<dyn Runtime>) -> Self {
        let by_size = (MAX_BATCH_BYTES + 28).div_ceil(crate::tuning::MAX_DATAGRAM_BYTES.into());
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
        self.send(transmit)?;
        let Some(lane) = Lane::current() else { return Ok(()) };
        let bytes = transmit.contents.len();
        lane.note_sent(self.runtime.now(), bytes, transmit.segment_size.unwrap_or(bytes));
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
