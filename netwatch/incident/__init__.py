"""Findings of one cause become one incident with an onset, an attribution and a timeline."""
