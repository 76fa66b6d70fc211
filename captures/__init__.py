"""Scenarios: one folder a failure mode, with captures of the attack and of its benign twins, and the package that generates them."""
