//! Which of some go best with which of others: the assignment problem.

/// Returns for each row of a square table of costs the column that it goes with, no two with the same, such that the sum of
/// the costs is least. (The Hungarian method. The time grows with the third power of the size.)
pub(super) fn cheapest(costs: &[Vec<i64>]) -> Vec<usize> {
    let size = costs.len();
    // In both, and as a column, 0 is none: row and column 1 are the first.
    let (mut row_prices, mut column_prices) = (vec![0; size + 1], vec![0; size + 1]);
    let mut row_of = vec![0; size + 1];
    for row in 1..=size {
        // The cheapest way from this row to a column without one, over columns whose rows then go elsewhere.
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![i64::MAX; size + 1];
        let (mut before, mut is_seen) = (vec![0; size + 1], vec![false; size + 1]);
        while row_of[column] != 0 {
            is_seen[column] = true;
            let here = row_of[column];
            let (mut step, mut next) = (i64::MAX, 0);
            for other in (1..=size).filter(|other| !is_seen[*other]) {
                let cost = costs[here - 1][other - 1] - row_prices[here] - column_prices[other];
                if cost < least[other] {
                    (least[other], before[other]) = (cost, column);
                }
                if least[other] < step {
                    (step, next) = (least[other], other);
                }
            }
            for other in 0..=size {
                if is_seen[other] {
                    row_prices[row_of[other]] += step;
                    column_prices[other] -= step;
                } else if other > 0 {
                    least[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut columns = vec![0; size];
    for column in 1..=size {
        columns[row_of[column] - 1] = column - 1;
    }
    columns
}
