"""The command ``unimicro``."""
