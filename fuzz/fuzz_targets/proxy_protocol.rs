//! The PROXY protocol as a reader feeds it: bounded, always forward, and what follows the header changes nothing.
#![no_main]

use countersign_gateway::listen::proxy_protocol::{MOST, Step, step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut at = 0;
    while let Some(read) = data.get(..at) {
        match step(read) {
            Ok(Step::Need(more)) => {
                assert!(more > 0 && at + more <= MOST, "unbounded");
                at += more;
            }
            Ok(Step::Done(source)) => {
                assert!(at <= MOST);
                assert_eq!(step(read), Ok(Step::Done(source)));
                return;
            }
            Err(_) => return,
        }
    }
});
