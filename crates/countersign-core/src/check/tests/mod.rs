//! Unit tests of the steps; the whole path is judged in `tests/judgement/`, with the testkit.
