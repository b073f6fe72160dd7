"""The command line: the public commands, and how stages and commands get their flags."""
