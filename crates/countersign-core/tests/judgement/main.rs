//! The whole path, judged with scripted methods. (Not a unit test: the testkit implements the ports of the crate as
//! everybody else links it.)

#[cfg(test)]
mod requirement;
#[cfg(test)]
mod support;
