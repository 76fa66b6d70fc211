"""InfluxDB 2.x and 1.x, and what speaks their write API: lines over HTTP, from a spool on disk."""
