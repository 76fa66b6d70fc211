"""One file per failure mode: a window in, findings out."""
