//! The whole path, judged with scripted methods. (Not a unit test: the testkit implements the ports of the crate as
//! everybody else links it.)

#[cfg(test)]
mod admission;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod challenges;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod origin;
#[cfg(test)]
mod present_state;
#[cfg(test)]
mod requirement;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod target;
