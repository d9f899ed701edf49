//! The gapped extension: small insertions and deletions beside a diagonal (X-drop, as in BLAST, Altschul et al. 1997).

use super::{Aligner, Extension, JUMP};

/// The number of equal tokens after a detour that make the detour accepted without another search.
const SETTLED: u32 = 96;
/// The most tokens of the target that the gapped extension covers.
const EXTENSION: usize = 200;
/// The most tokens that the gapped extension covers on each side of the diagonal.
const BAND: usize = 48;
/// The loss from its best gain, in bits, at which a gapped extension ends.
const DROP: i32 = 80;
/// The gain of a path that does not exist.
const IMPOSSIBLE: i32 = i32::MIN / 2;

impl Aligner {
    /// The best continuation with small insertions and deletions, each of which costs a jump.
    pub(super) fn gapped(&self, i: usize, j: usize) -> Extension {
        const WIDTH: usize = 2 * BAND + 1;
        // Column c of row r is window token j + r + c - BAND. `paired` ends with a pair, `open` ends in a gap.
        let (mut paired, mut open) = ([IMPOSSIBLE; WIDTH], [IMPOSSIBLE; WIDTH]);
        let mut run = [0u32; WIDTH];
        paired[BAND] = 0;
        open[BAND..].fill(-JUMP);
        let mut steps = vec![TraceRow::start(BAND)];
        let (mut best, mut end, mut settled) = (0, (0, BAND), false);
        for row in 0..EXTENSION.min(self.new.codes.len() - i) {
            let (mut next_paired, mut next_open, mut next_run) =
                ([IMPOSSIBLE; WIDTH], [IMPOSSIBLE; WIDTH], [0u32; WIDTH]);
            let mut step = TraceRow::default();
            let mut alive = false;
            for column in 0..WIDTH {
                let from = paired[column].max(open[column]);
                let place = (j + row + column).checked_sub(BAND);
                if let (true, Some(place)) = (IMPOSSIBLE < from, place)
                    && let Some(gain) = self.pair(i + row, place)
                    && best - DROP <= from + gain
                {
                    next_paired[column] = from + gain;
                    step.set_from_gap(column, paired[column] < open[column]);
                    next_run[column] = if 0 < gain { run[column] + 1 } else { 0 };
                }
                let ways = [
                    (next_paired[column] - JUMP, GapMove::Opened),
                    (open.get(column + 1).copied().unwrap_or(IMPOSSIBLE), GapMove::Inserted),
                    (column.checked_sub(1).map_or(IMPOSSIBLE, |before| next_open[before]), GapMove::Deleted),
                ];
                let (value, way) = ways
                    .into_iter()
                    .fold((IMPOSSIBLE, GapMove::Opened), |most, way| if most.0 < way.0 { way } else { most });
                if IMPOSSIBLE < value && best - DROP <= value {
                    next_open[column] = value;
                    step.ways[column] = way;
                }
                alive |= IMPOSSIBLE < next_paired[column].max(next_open[column]);
                if best < next_paired[column] {
                    (best, end) = (next_paired[column], (row + 1, column));
                    settled = SETTLED <= next_run[column];
                }
            }
            steps.push(step);
            (paired, open, run) = (next_paired, next_open, next_run);
            if !alive || settled {
                break;
            }
        }
        // From one row to the next a path moves at most one column to the left, so no place is before `j`.
        let starts = trace(&steps, end).into_iter().map(|(row, column)| (i + row, j + row + column - BAND)).collect();
        Extension { gain: best, settled, looked_at: steps.len(), target: end.0, window: end.0 + end.1 - BAND, starts }
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
enum GapMove {
    #[default]
    Opened,
    Inserted,
    Deleted,
}

/// How each cell of a row was reached.
#[derive(Clone)]
struct TraceRow {
    from_gap: [bool; 2 * BAND + 1],
    ways: [GapMove; 2 * BAND + 1],
}

impl Default for TraceRow {
    fn default() -> TraceRow {
        TraceRow { from_gap: [false; 2 * BAND + 1], ways: [GapMove::Opened; 2 * BAND + 1] }
    }
}

impl TraceRow {
    /// The row before the first token: deletions, from the middle on.
    fn start(middle: usize) -> TraceRow {
        let mut step = TraceRow::default();
        step.ways[middle + 1..].fill(GapMove::Deleted);
        step
    }

    fn set_from_gap(&mut self, column: usize, from_gap: bool) {
        self.from_gap[column] = from_gap;
    }
}

/// The cells, by row and column, at which a pair follows a gap on the path to `end`.
fn trace(steps: &[TraceRow], end: (usize, usize)) -> Vec<(usize, usize)> {
    let (mut row, mut column) = end;
    let (mut in_gap, mut starts) = (false, Vec::new());
    while 0 < row || in_gap {
        if in_gap {
            match steps[row].ways[column] {
                GapMove::Opened => in_gap = false,
                GapMove::Inserted => (row, column) = (row - 1, column + 1),
                GapMove::Deleted => column -= 1,
            }
        } else {
            in_gap = steps[row].from_gap[column];
            row -= 1;
            if in_gap {
                starts.push((row, column));
            }
        }
    }
    starts.reverse();
    starts
}
