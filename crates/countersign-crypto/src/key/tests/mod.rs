//! What is said and can be checked, and what is kept and must come back.

mod attest;
mod seal;
