//! One file per file of the room that has something to get wrong. What fails comes first.
