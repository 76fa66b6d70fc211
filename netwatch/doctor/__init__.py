"""`netwatch doctor`: what this machine and this configuration lack, each tried, not guessed."""
