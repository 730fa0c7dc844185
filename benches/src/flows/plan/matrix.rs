//! Links crossed with sets of flows.

use fulmar_netsim::{Direction, Loss, Profile, Queue};

use super::{
    Case, PlanError,
    written::{Matrix, Place, Plan},
};

/// One link of a matrix: the same both ways.
#[derive(Clone, Copy)]
struct Cell {
    rate_mbit_per_s: f64,
    rtt_ms: f64,
    loss: f64,
    place: Place,
    buffer_bdp: f64,
}

/// All cases of a matrix, at most `most`.
pub(super) fn cases(matrix: &Matrix, plan: &Plan, most: usize) -> Result<Vec<Case>, PlanError> {
    let Matrix { rates_mbit_per_s, rtts_ms, losses, places, buffers_bdp, sets, .. } = matrix;
    let lengths =
        [rates_mbit_per_s.len(), rtts_ms.len(), losses.len(), places.len(), buffers_bdp.len(), sets.len()];
    let count = lengths.into_iter().try_fold(1_usize, usize::checked_mul);
    if count.is_none_or(|count| count > most) {
        return Err(PlanError("the matrix has too many cases".to_owned()));
    }
    let mut cases = Vec::new();
    for cell in cells(matrix) {
        for set in sets {
            let name = cell.name(matrix, set);
            let profile = Profile::symmetric(&name, cell.direction());
            cases.push(plan.case(name, profile, set, matrix.timing)?);
        }
    }
    Ok(cases)
}

fn cells(matrix: &Matrix) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &rate_mbit_per_s in &matrix.rates_mbit_per_s {
        for &rtt_ms in &matrix.rtts_ms {
            for &loss in &matrix.losses {
                for &buffer_bdp in &matrix.buffers_bdp {
                    // Without loss there is no place where it happens.
                    let places = if loss == 0.0 { &[Place::After][..] } else { &matrix.places };
                    let cell =
                        |place: &Place| Cell { rate_mbit_per_s, rtt_ms, loss, place: *place, buffer_bdp };
                    cells.extend(places.iter().map(cell));
                }
            }
        }
    }
    cells
}

impl Cell {
    fn direction(self) -> Direction {
        // What is no ratio must not pass for no loss: the model refuses it.
        let loss = (self.loss != 0.0).then_some(Loss::Bernoulli(self.loss));
        let at = |place| loss.filter(|_| self.place == place);
        Direction {
            rate_mbit_per_s: Some(self.rate_mbit_per_s),
            queue: Queue::Bdp(self.buffer_bdp),
            delay_ms: self.rtt_ms / 2.0,
            loss_before_queue: at(Place::Before),
            loss_after_queue: at(Place::After),
            ..Direction::default()
        }
    }

    /// Only what differs within the matrix, or is not the usual, is named.
    fn name(self, matrix: &Matrix, set: &str) -> String {
        let percent = (self.loss * 1e8).round() / 1e6;
        let mut name = format!("{}M {}ms {percent}%", self.rate_mbit_per_s, self.rtt_ms);
        if self.place == Place::Before {
            name += " before";
        }
        if self.buffer_bdp != 1.0 || matrix.buffers_bdp.len() > 1 {
            name += &format!(" {}bdp", self.buffer_bdp);
        }
        let parts = [matrix.name.as_str(), &name, set];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}
