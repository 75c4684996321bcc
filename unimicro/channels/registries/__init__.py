"""Where instances are found: in memory, in a file, in Consul."""
