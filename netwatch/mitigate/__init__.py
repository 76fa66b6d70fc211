"""From an incident to what would end it: playbooks and their effect on admission to the state table."""
