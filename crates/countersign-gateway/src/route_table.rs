//! The live route table, swapped whole: a request sees the old one or the new one, never a mixture.

use arc_swap::ArcSwap;
use countersign_core::check::route::{RouteStore, RouteTable};
use std::{fmt, sync::Arc};

pub struct RouteTableCell(ArcSwap<RouteTable>);

impl RouteTableCell {
    pub fn new(table: impl Into<Arc<RouteTable>>) -> Self {
        Self(ArcSwap::new(table.into()))
    }

    /// Requests already judged keep the route that they were judged by.
    pub fn swap(&self, table: impl Into<Arc<RouteTable>>) {
        self.0.store(table.into());
    }
}

impl RouteStore for RouteTableCell {
    fn table(&self) -> Arc<RouteTable> {
        self.0.load_full()
    }
}

impl fmt::Debug for RouteTableCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteTableCell({} routes)", self.0.load().routes().len())
    }
}
