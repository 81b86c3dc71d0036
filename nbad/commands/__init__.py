"""The commands, one module each: what it is called, what it takes, what it does."""
