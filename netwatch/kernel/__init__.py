"""What several stages ask of the Linux kernel: namespaces, netlink, sysctls. No stage's knowledge is in here, and nothing heavy."""
