"""Grafana: dashboards and alert rules over the metric schema, said once and written for either query language."""
