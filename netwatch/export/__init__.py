"""Edge out: terminal summary, JSON, flow records and the report page."""
