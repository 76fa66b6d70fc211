"""The command line: one file a command, thin, importing what is heavy only when it runs."""
