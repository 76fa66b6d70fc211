"""Bytes to columns: link layers, IP, transports and tunnels, in one numba kernel."""
