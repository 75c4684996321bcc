"""Everything pluggy: hook specifications, the manager, the table of built-in parts."""
