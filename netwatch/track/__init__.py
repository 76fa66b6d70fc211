"""Tables driven by packets: fragments, flows and the firewall's sessions. Bounded, expiring by event time."""
