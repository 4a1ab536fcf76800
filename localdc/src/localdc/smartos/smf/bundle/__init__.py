"""Service bundles: manifests and profiles, their grammar and templates."""
