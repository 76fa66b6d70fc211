"""What tells people and their systems of incidents: Alertmanager, paging, chat, webhook, syslog."""
