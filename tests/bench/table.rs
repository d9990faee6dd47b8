//! The table that a benchmark prints: each figure beside its yardstick, its goal, and whether it misses it.

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// No goal.
    None,
    /// At least this multiple of its yardstick.
    RatioAtLeast(f64),
    /// At most this multiple of its yardstick.
    RatioAtMost(f64),
    /// At least this, on a machine of two cores.
    AtLeast(f64),
    /// At most this, on a machine of two cores.
    AtMost(f64),
    /// Zero, on any machine.
    Never,
}

#[derive(Debug)]
struct Row {
    what: String,
    figure: f64,
    yardstick: Option<f64>,
    goal: Goal,
}

/// The rows so far. Each is printed when it is added.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Prints the head of the table.
    pub(crate) fn head() -> Self {
        println!("{:<58} {:>11} {:>11} {:>7}  {:<14}", "", "callscribe", "yardstick", "ratio", "goal");
        Self::default()
    }

    /// Prints how the following rows are measured.
    pub(crate) fn about(&self, what: &str) {
        println!("{what}");
    }

    /// Adds and prints a row.
    pub(crate) fn row(&mut self, what: impl Into<String>, figure: f64, yardstick: impl Into<Option<f64>>, goal: Goal) {
        let row = Row { what: what.into(), figure, yardstick: yardstick.into(), goal };
        println!("{row}");
        self.rows.push(row);
    }

    /// The rows that miss their goal.
    pub(crate) fn missed(&self) -> impl Iterator<Item = String> {
        self.rows.iter().filter(|row| !row.is_met(1.0)).map(ToString::to_string)
    }

    /// The rows that miss their goal by more than a factor of two, or are not zero where they must be. Only ratios and zeros
    /// are judged, because other figures depend on the machine.
    pub(crate) fn broken(&self) -> impl Iterator<Item = String> {
        let is_judged = |row: &&Row| matches!(row.goal, Goal::RatioAtLeast(_) | Goal::RatioAtMost(_) | Goal::Never);
        self.rows.iter().filter(is_judged).filter(|row| !row.is_met(2.0)).map(ToString::to_string)
    }
}

impl Row {
    fn ratio(&self) -> f64 {
        self.yardstick.map_or(f64::NAN, |yardstick| self.figure / yardstick)
    }

    /// Whether the row meets its goal, made easier by this factor. NaN meets no goal.
    fn is_met(&self, easier: f64) -> bool {
        match self.goal {
            Goal::None => true,
            Goal::RatioAtLeast(least) => self.ratio() >= least / easier,
            Goal::RatioAtMost(most) => self.ratio() <= most * easier,
            Goal::AtLeast(least) => self.figure >= least / easier,
            Goal::AtMost(most) => self.figure <= most * easier,
            Goal::Never => self.figure == 0.0,
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, figure, yardstick, goal } = self;
        let number = |figure: f64| match figure {
            figure if figure.abs() >= 1_000.0 => format!("{figure:.0}"),
            figure if figure.abs() >= 10.0 => format!("{figure:.1}"),
            figure => format!("{figure:.2}"),
        };
        let (yardstick, ratio) = match yardstick {
            Some(yardstick) => (number(*yardstick), format!("{:.2}", self.ratio())),
            None => ("–".to_owned(), "–".to_owned()),
        };
        let goal = match goal {
            Goal::None => String::new(),
            Goal::RatioAtLeast(least) => format!("ratio ≥ {least}"),
            Goal::RatioAtMost(most) => format!("ratio ≤ {most}"),
            Goal::AtLeast(least) => format!("≥ {least}"),
            Goal::AtMost(most) => format!("≤ {most}"),
            Goal::Never => "none".to_owned(),
        };
        let missed = if self.is_met(1.0) { "" } else { "missed" };
        write!(f, "{what:<58} {:>11} {yardstick:>11} {ratio:>7}  {goal:<12} {missed}", number(*figure))
    }
}
