"""The edge out: drivers that change a firewall, show what is in force, and undo it. What is imported here is paid by the guardian too."""
