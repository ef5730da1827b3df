-- Is this node revoked already? Whoever shows a token again and again adds no rows.
CREATE INDEX feed_by_node ON feed (node_id, node_kind);
