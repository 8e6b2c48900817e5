//! The figures that tables and plots show.

/// Returns the columns of a scenario's table. The first one is the order of the rows and the plot.
pub(super) fn of(scenario: &str) -> &'static [&'static str] {
    match scenario {
        "produce" => &[
            "events/s",
            "WAL B/event",
            "server CPU µs/event",
            "client CPU µs/event",
            "memory MB",
            "client memory MB",
            "server memory MB",
        ],
        "drain" | "away" => &[
            "events/s",
            "seconds",
            "WAL B/event",
            "server CPU µs/event",
            "client CPU µs/event",
            "memory MB",
            "client memory MB",
            "server memory MB",
        ],
        "steady" => &[
            "pickup p50 ms",
            "pickup p95 ms",
            "pickup p99 ms",
            "pickup max ms",
            "insert p50 ms",
            "insert p99 ms",
            "end to end p50 ms",
            "end to end p99 ms",
            "end to end max ms",
            "produced events/s",
            "not produced",
            "missing",
            "WAL B/event",
            "server CPU µs/event",
            "client CPU µs/event",
            "memory MB",
            "client memory MB",
            "server memory MB",
        ],
        "fan_out" => &[
            "seconds until all have all",
            "deliveries/s",
            "seconds to insert",
            "WAL B/event",
            "server CPU µs/event",
            "client CPU µs/event",
            "memory MB",
            "client memory MB",
            "server memory MB",
            "tables MB",
            "indexes MB",
        ],
        "old_snapshot" => &[
            "late: pickup p50 ms",
            "late: pickup p99 ms",
            "late: events/s",
            "before: pickup p50 ms",
            "before: pickup p99 ms",
            "produced events/s",
            "not produced",
            "missing",
            "dead rows",
            "tables MB",
            "indexes MB",
            "WAL B/event",
            "server CPU µs/event",
            "client CPU µs/event",
            "memory MB",
        ],
        "poison" => &[
            "seconds until the last other",
            "others done",
            "others lost",
            "others again",
            "others out of order",
            "attempts",
            "given up",
        ],
        "crash" => &["seconds after the last crash", "not handled", "handled again"],
        _ => &[],
    }
}

/// Returns the figures of a scenario that are plotted as bars.
pub(super) fn bars(scenario: &str) -> &'static [&'static str] {
    match scenario {
        "produce" | "drain" | "away" => &["events/s", "WAL B/event"],
        "steady" => &["pickup p99 ms", "WAL B/event", "server CPU µs/event", "memory MB"],
        "fan_out" => &["deliveries/s"],
        "old_snapshot" => &["late: pickup p99 ms"],
        _ => &[],
    }
}

/// Returns whether more of a figure is better.
pub(super) fn grows(figure: &str) -> bool {
    figure.ends_with("/s")
}

/// Returns the noun of a scenario's variants.
pub(super) fn meaning_of_variant(scenario: &str) -> &'static str {
    match scenario {
        "produce" => "events a transaction",
        "steady" => "events/s",
        _ => "consumers",
    }
}

/// Returns the figures over time that are plotted, and whether the axis is logarithmic.
pub(super) const SERIES: [(&str, bool); 5] = [
    ("events/s", false),
    ("pickup p50 ms", true),
    ("pickup p99 ms", true),
    ("dead rows", false),
    ("tables MB", false),
];

/// A figure that is plotted over the variants of a scenario.
pub(super) struct Across {
    pub(super) title: &'static str,
    pub(super) scenario: &'static str,
    pub(super) figure: &'static str,
    pub(super) is_logarithmic: bool,
}

/// The figures over the variants of a scenario.
pub(super) const ACROSS: [Across; 3] = [
    Across {
        title: "latency against load, median",
        scenario: "steady",
        figure: "pickup p50 ms",
        is_logarithmic: true,
    },
    Across {
        title: "latency against load, 99th percentile",
        scenario: "steady",
        figure: "pickup p99 ms",
        is_logarithmic: true,
    },
    Across {
        title: "fan-out: deliveries/s",
        scenario: "fan_out",
        figure: "deliveries/s",
        is_logarithmic: false,
    },
];
