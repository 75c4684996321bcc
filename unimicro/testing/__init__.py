"""For tests of services and of doors: an HTTP client without a server, the conformance kit."""
