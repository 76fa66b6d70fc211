"""How fast netwatch is: against C, against its peers, and by the number of packets. See README.md beside this file."""
