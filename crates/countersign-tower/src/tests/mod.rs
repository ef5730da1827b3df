//! Heads by table, answers by snapshot, the layer around a service that counts its calls.

mod answers;
mod heads;
mod layer;
