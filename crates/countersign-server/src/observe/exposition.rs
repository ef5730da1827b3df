//! Prometheus' text format, version 0.0.4: families, each with its help, its type and its samples.

use std::{fmt::Write, time::Duration};

pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics as they are written.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// One family that samples are added to.
#[derive(Debug)]
pub struct Family<'e> {
    text: &'e mut String,
    name: &'static str,
}

/// Names are ours, values may be anybody's.
pub type Labels<'l> = &'l [(&'static str, &'l str)];

impl Exposition {
    /// What only grows. `name` ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, help, "counter")
    }

    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, help, "gauge")
    }

    /// Of durations in seconds. `name` ends in `_seconds`.
    pub fn histogram(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, help, "histogram")
    }

    pub fn finish(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, help: &'static str, kind: &'static str) -> Family<'_> {
        // a string takes what it is given
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text: &mut self.0, name }
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: Labels<'_>, value: u64) {
        self.line("", labels, None, format_args!("{value}"));
    }

    pub fn seconds(&mut self, labels: Labels<'_>, value: Duration) {
        self.line("", labels, None, format_args!("{}", value.as_secs_f64()));
    }

    /// `counts` by `bounds`, and one more for what is beyond the last.
    pub fn times(&mut self, labels: Labels<'_>, bounds: &[Duration], counts: &[u64], sum: Duration) {
        let mut all = 0_u64;
        let bounds = bounds.iter().map(|bound| bound.as_secs_f64().to_string());
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
            all = all.wrapping_add(*count);
            self.line("_bucket", labels, Some(&bound), format_args!("{all}"));
        }
        self.line("_sum", labels, None, format_args!("{}", sum.as_secs_f64()));
        self.line("_count", labels, None, format_args!("{all}"));
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: std::fmt::Arguments<'_>,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        for (n, (name, label)) in all.enumerate() {
            self.text.push(if n == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            for c in label.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() || bound.is_some() {
            self.text.push('}');
        }
        // a string takes what it is given
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_scrapers_read_them() {
        let mut all = Exposition::default();
        all.gauge("up", "Whether it is.").sample(&[], 1);
        let mut asked = all.counter("asked_total", "Requests.");
        asked.sample(&[("route", "a\"b\\c\nd"), ("status", "200")], 7);
        asked.sample(&[("route", ""), ("status", "404")], u64::MAX);
        let bounds = [Duration::from_micros(100), Duration::from_millis(2500)];
        let sum = Duration::from_millis(3250);
        all.histogram("took_seconds", "Time.").times(&[("route", "r")], &bounds, &[1, 2, 3], sum);
        assert_eq!(
            all.finish(),
            "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n\
             # HELP asked_total Requests.\n# TYPE asked_total counter\n\
             asked_total{route=\"a\\\"b\\\\c\\nd\",status=\"200\"} 7\n\
             asked_total{route=\"\",status=\"404\"} 18446744073709551615\n\
             # HELP took_seconds Time.\n# TYPE took_seconds histogram\n\
             took_seconds_bucket{route=\"r\",le=\"0.0001\"} 1\n\
             took_seconds_bucket{route=\"r\",le=\"2.5\"} 3\n\
             took_seconds_bucket{route=\"r\",le=\"+Inf\"} 6\n\
             took_seconds_sum{route=\"r\"} 3.25\ntook_seconds_count{route=\"r\"} 6\n"
        );
    }
}
