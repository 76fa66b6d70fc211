"""The metric schema: measurements, their fields, and how events become points."""
