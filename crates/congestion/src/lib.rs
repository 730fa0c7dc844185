//! LRC: loss-resilient congestion control for quinn.
//!
//! Loss is not congestion here. A link that loses every tenth packet at random still carries nine tenths of its rate, and a
//! controller that halves its window at each loss gets a hundredth of it. LRC models the path instead, as BBR does
//! (Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14(5), 2016), but tells two kinds of loss apart:
//!
//! * The **floor**: loss that stays the same whatever we send, measured only while there is no queue. It is compensated: what
//!   was lost at the floor's ratio counts as carried, because it has used the link.
//! * **Excess**: loss above the floor that comes with a queue, or goes away when we slow down. It is obeyed.
//!
//! # The model
//!
//! * **Capacity** `C`, bytes per second as they are sent (`capacity`): resolved bytes (acknowledged, and lost at no more than
//!   the floor's ratio) over the duration of whole rounds. Rounds are contiguous, so what one round is given too much the next
//!   is given too little. Delivery rates after draft-cheng-iccrg-delivery-rate-estimation.
//! * **Place** of the losses (`place`): before the bottleneck or after it, which decides what of a round's rate is luck.
//! * **Base round trip** and **queue** (`path`): the least round trip of ten seconds, and how far the least of a round, or
//!   of a quarter of one, lies above it, but for what it shows of jitter (`noise`).
//! * **Loss floor** `p` (`loss`): pooled over rounds that had no queue, and tested now and then by sending a quarter less.
//!
//! # What it does with it
//!
//! * **Start-up** (`startup`) doubles each round, jumps to the rate at which its first trains of packets arrive (dispersion;
//!   Dovrolis et al., INFOCOM 2001), and ends when a queue forms or growth ends, never on loss. What the last connection found
//!   ([`Remembered`]) makes its first round trip count.
//! * **Cruise** (`cycle`) holds a small standing queue, 1 to 4 ms and 2 % of a long round trip, by feedback on its delay. The
//!   queue is the proof that the link is full. The slower a flow, the more queue it aims at, which makes flows that share a
//!   bottleneck converge.
//! * **Up** probes for more when the queue is gone, **Down** drains it every dozen rounds to renew the base round trip and the floor.
//! * **Rival** mode (`rival`) meets a flow that fills buffers (CUBIC) with a window that grows and backs off as that flow's does.
//!
//! The controller decides a rate and a window. quinn 0.11 paces at 1.25 times window over round trip whatever the controller wants, so an
//! exact pace needs a socket that reads it from the [`Signals`] of the connection ([`Mode::Paced`]). Without one the window alone does it
//! ([`Mode::Window`]). The [`Pacer`] is what such a socket needs.
//!
//! No IO, and no clock of its own: time comes in with every call, and the same calls give the same decisions.

mod capacity;
mod config;
mod controller;
mod cycle;
mod loss;
mod memory;
mod noise;
mod pacer;
mod path;
mod place;
mod rival;
mod round;
mod sent;
mod signals;
mod startup;
mod state;

pub use config::{LrcConfig, Mode};
pub use controller::Lrc;
pub use memory::Remembered;
pub use pacer::Pacer;
pub use signals::{Limit, Phase, Signals, Snapshot};
