//! How much queue to aim at, what a round says of the capacity, and when a rate is news.

use super::{LEAST_PACE, Lrc};
use crate::{
    capacity::{Sample, Verdict},
    loss::Queued,
    round::Ended,
    startup::NEAR_S,
    state::State,
};

/// Where random loss makes arrivals at the bottleneck irregular, the queue has a tail above its least. So many packets are left out of what
/// is aimed at for each unit of that noise, and so many at most.
const NOISE_PACKETS: f64 = 10.0;
const MOST_NOISE_PACKETS: f64 = 0.5;

/// Where packets are lost before the bottleneck the queue wanders. So many standard deviations of that are aimed at, as far as it is
/// bearable: up to so many seconds, or this share of the round trip.
const WANDER_DEVIATIONS: f64 = 1.5;
const MOST_WANDER_S: f64 = 0.0035;
const MOST_WANDER_RTTS: f64 = 0.05;

/// How long the loop takes to answer, beside the round trip, in seconds.
const LOOP_S: f64 = 0.03;

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
        let noise = (NOISE_PACKETS * self.arrival_noise).min(MOST_NOISE_PACKETS) * rare * self.mtu / rate;
        // On slow paths packets that wait for the pace look like a queue, which the third part is to exceed.
        let noise = if self.is_slow() { 0.0 } else { noise.min(0.4 * share) };
        let usual =
            f64::max(0.0007, 0.02 * (self.path.base_rtt() - 0.05)) + share + self.serialisation() - noise;
        usual.max(self.wander(rate))
    }

    /// How much queue there has to be for it not to run empty where packets are lost before the bottleneck, in seconds, within bounds.
    ///
    /// Each that is lost there leaves a gap, so that the queue walks at random until the loop answers: of n packets n (1 - p) arrive, with a
    /// variance of n p (1 - p).
    fn wander(&self, rate: f64) -> f64 {
        let (ratio, base_rtt) = (self.loss.ratio(), self.path.base_rtt());
        if base_rtt == f64::MAX {
            return 0.0;
        }
        let deviation = (ratio / (1.0 - ratio) * (base_rtt + LOOP_S) * self.mtu / rate).sqrt();
        let bearable = f64::max(MOST_WANDER_S, MOST_WANDER_RTTS * base_rtt);
        (WANDER_DEVIATIONS * deviation * self.place.before()).min(bearable)
    }

    /// Takes stock of what a round that has ended says of the capacity.
    pub(super) fn note_capacity(&mut self, round: u64, ended: &Ended, queued: &Queued) {
        let sample = self.sample(ended, queued);
        let (rate, capacity) = (sample.rate(), self.capacity.bytes_per_s());
        let startup = self.state() == State::Startup;
        let held_back = queued.least < 0.5 * queued.target && !self.loss.is_congested() && !startup;
        let more = self.cycle.probe_has_found(round, rate)
            || self.cycle.is_fresh(round, 4) && rate > capacity
            || rate > (1.0 + f64::max(0.08, self.doubt() * sample.variance.sqrt())) * capacity
                && queued.least < queued.target;
        let much_less =
            rate < 0.8 * capacity && queued.mean > f64::max(0.2 * queued.base_rtt, 2.0 * queued.target);
        self.capacity.note_round(
            sample,
            Verdict {
                own_doing: ended.app_limited || ended.slowed || held_back,
                forget: more || much_less || startup,
            },
        );
    }

    /// What a round carried, without the luck that the place of its losses explains.
    fn sample(&mut self, ended: &Ended, queued: &Queued) -> Sample {
        let carried_bytes = self.loss.carried(ended, queued, self.state(), self.mtu);
        // On the shortest paths what varies is the time that processors take.
        let near = self.path.base_rtt() < NEAR_S;
        let variance = if near { 0.0 } else { self.loss.relative_variance(carried_bytes, self.mtu) };
        self.arrival_noise = variance.sqrt();
        let sample = Sample { carried_bytes, duration: ended.duration, variance };
        let (ratio, capacity) = (self.loss.ratio(), self.capacity.bytes_per_s());
        if near || ratio == 0.0 || capacity == 0.0 || self.state() == State::Startup {
            return sample;
        }
        let sent_bytes = ended.acked_bytes + ended.lost_bytes;
        let lost_more = ended.lost_bytes / sent_bytes - ratio;
        if !ended.app_limited {
            self.place.note_round(lost_more, sample.rate() / capacity - 1.0);
        }
        let before = self.place.before();
        Sample {
            carried_bytes: carried_bytes - before * lost_more * sent_bytes,
            variance: variance * (1.0 - before).powi(2),
            ..sample
        }
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
