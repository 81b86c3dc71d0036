"""nbad: live NBA scores in, live NBA predictions out, in milliseconds."""

__version__ = "0.1.0"
