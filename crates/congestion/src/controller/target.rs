//! How much queue to aim at, and when a rate is news.

use super::{LEAST_PACE, Lrc};

/// Where random loss makes arrivals at the bottleneck irregular, the queue has a tail above its least. So many packets are left out of what
/// is aimed at for each unit of that noise, and so many at most.
const NOISE_PACKETS: f64 = 10.0;
const MOST_NOISE_PACKETS: f64 = 0.5;

/// A path on which a packet and a half take longer is slow, in seconds.
const SLOW_S: f64 = 0.005;

impl Lrc {
    /// The standing queue to aim at, in seconds.
    ///
    /// Its first part is the loop's own noise, which grows with the round trip. Its second falls with the rate, so that of two flows
    /// the slower one aims at more and gains; with a constant target shares would stay as they are. Its third is the time that packets
    /// take on the wire.
    pub(super) fn queue_target(&self) -> f64 {
        self.free_queue_target().min(self.loss.queue_bound()).max(self.serialisation())
    }

    /// The same where the buffer is deep enough.
    pub(super) fn free_queue_target(&self) -> f64 {
        let rate = self.capacity.bytes_per_s().max(LEAST_PACE);
        let share = 0.0015 * (1.25e6 / rate).sqrt().min(2.0);
        let rare = (1.0 - 4.0 * self.loss.ratio()).max(0.0);
        let noise = (NOISE_PACKETS * self.capacity.noise()).min(MOST_NOISE_PACKETS) * rare * self.mtu / rate;
        // On slow paths packets that wait for the pace look like a queue, which the third part is to exceed.
        let noise = if self.is_slow() { 0.0 } else { noise.min(0.4 * share) };
        f64::max(0.0007, 0.02 * (self.path.base_rtt() - 0.05)) + share + self.serialisation() - noise
    }

    fn serialisation(&self) -> f64 {
        1.5 * self.mtu / self.capacity.bytes_per_s().max(LEAST_PACE)
    }

    fn is_slow(&self) -> bool {
        self.serialisation() > SLOW_S
    }

    /// How many deviations above the estimate a round is news. A slow path has few rounds, and to wait for better ones takes long.
    pub(super) fn doubt(&self) -> f64 {
        if self.is_slow() { 1.0 } else { 2.0 }
    }
}
