//! What is made of the measurements: figures for each place in the table, and three ways of showing them.

mod chart;
mod figures;
mod json;
pub(crate) mod picture;
mod table;

pub(crate) use chart::draw;
pub(crate) use json::{write as write_json, write_cells, write_conditions, write_rows};
pub(crate) use table::{machine, programs, table};

use std::{fs::File, io::BufWriter, path::Path};

use anyhow::{Context as _, Result};

use crate::{loopback::Row, measure::machine::Conditions};

/// A new file for what is measured.
pub(crate) fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// All transfers in one directory, and the conditions.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) conditions: Conditions,
    pub(crate) rows: Vec<Row>,
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::contest::{Cell, Contender, Direction, Share, Size};

    /// Two rounds of one size: TCP takes 1 s, TLS 2 s, fulmar 4 s and then 5 s.
    pub(crate) fn report() -> Report {
        let dir = tempfile::tempdir().expect("a folder");
        let mut rows = Vec::new();
        for round in 0..2 {
            for direction in Direction::ALL {
                for contender in Contender::ALL {
                    let seconds = match contender {
                        Contender::Tcp => 1.0,
                        Contender::Tls => 2.0,
                        Contender::Fulmar => 4.0 + f64::from(round),
                    };
                    let size = Size(1 << 30);
                    rows.push(Row {
                        round,
                        cell: Cell { size, direction, contender },
                        seconds,
                        goodput_bytes_per_s: size.0 as f64 / seconds,
                        client: Share { cpu_s: seconds / 2.0, peak_bytes: 10 << 20 },
                        server: Share { cpu_s: seconds / 4.0, peak_bytes: 20 << 20 },
                    });
                }
            }
        }
        Report { conditions: Conditions::here(dir.path()).expect("known"), rows }
    }
}
