"""Calling services in other programs: typed proxies, channels, selectors."""
