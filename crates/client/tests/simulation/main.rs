//! The whole system on virtual time: the real server and clients over modelled links, thousands of runs in a minute.
//!
//! A test calls [`simulate`](world::simulate) with a seed, a [`Profile`](fulmar_netsim::Profile) and a scenario, which is given a
//! [`World`](world::World): the server runs at [`SERVER`](world::SERVER) on a store in memory, and `world.peer(n)` is
//! the n-th of up to [`PEERS`](world::PEERS) clients, on a host and a link of its own.
//!
//! ```text
//! simulate(seed, &profile, async |world| {
//!     let visit = world.peer(0).visit().await;
//!     visit.upload("a.bin", &data(seed, "a", 1 << 20)).await.expect("stored");
//!     world.network().partition(peer_ip(0), SERVER.ip());            // break whatever is to be broken
//!     world.restart(Restart::Killed).await;
//!     let again = world.peer(0).visit().await;
//!     assert_eq!(again.download("a.bin").await.expect("sent"), data(seed, "a", 1 << 20));
//! });
//! ```
//!
//! When a scenario ends, the harness checks what holds in every run (`world/ledger.rs`): every acknowledged upload
//! reads back with its BLAKE3, and no final name holds bytes that nobody uploaded as a whole. A client call that takes
//! longer than [`CALL_LIMIT`](world::CALL_LIMIT) of virtual time fails the run.
//!
//! `FULMAR_SIM_SEED=17` runs one seed alone, `FULMAR_SIM_SEEDS=3000` that many in the campaign and more than usual, in the
//! same proportion, elsewhere; a failure prints its seed and the line to
//! repeat it. `FULMAR_SIM_TRACE=FILE` writes every packet of a run to a file.
//!
//! No thread may take part, because the paused clock runs on while one works: servers are named by address, everything
//! that blocks runs inline, and uploads from a reader, which is read on a thread, are not simulated.

mod blackouts;
mod campaign;
mod cancellation;
mod connecting;
mod crowd;
mod determinism;
mod disturbers;
mod impairments;
mod known_paths;
mod lies;
mod links;
mod listings;
mod power;
mod rates;
mod restarts;
mod storms;
mod transfers;
mod trees;
mod world;
