"""CloudAPI modules: what they have in common."""
