"""One-second windows per service and per firewall, with what is normal for each."""
