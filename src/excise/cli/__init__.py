"""The command line: one file a command; each is a twin of the library call of the same name."""
